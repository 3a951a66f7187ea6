/* The binary. Before anything else: a child that os/process.h starts is this same program under
 * another first argument. */
#include "cli/cli.h"
#include "os/process.h"

int main(int argc, char **argv)
{
    emp_process_shim_main(argc, argv);
    return emp_cli_main(argc, argv);
}
