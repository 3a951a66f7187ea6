#include "domain/model.h"

bool emp_model_kind_modifies(struct emp_str kind)
{
    static const char *const kinds[] = {"lora", "lycoris", "controlnet", "embedding", "ip-adapter"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (emp_str_eq(kind, emp_str_z(kinds[i])))
            return true;
    return false;
}
