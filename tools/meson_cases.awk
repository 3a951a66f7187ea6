# Reads Meson's testlog.txt of cmocka programs that spoke TAP; writes "PASS|FAIL|SKIP<tab>suite/room/thing: case".
# A program without cases of its own is one case. One that ended badly without naming a failed case is one
# failed case, by the name of its end.
# Variables: suite.
/^=+ [0-9]+\/[0-9]+ =+$/ { close_test(); next }
/^test: / && !name { name = $0; sub(/^test: +/, "", name); sub(/^.* \/ /, "", name) }
/^result: / && !result { result = $0; sub(/^result: +/, "", result) }
/^(not )?ok [0-9]+/ && name {
    verdict = /^not/ ? "FAIL" : "PASS"
    if (/# (SKIP|TODO)/) verdict = "SKIP"
    case_name = $0
    sub(/^(not )?ok [0-9]+ (- |# SKIP )?/, "", case_name)
    cases++
    if (verdict == "FAIL") failed++
    print verdict "\t" suite "/" name ": " case_name
}
END { close_test() }

function close_test() {
    if (name) {
        bad = result != "exit status 0" && result != "exit status 77"
        if (bad && !failed) print "FAIL\t" suite "/" name ": ended by " result
        else if (!cases) print (result == "exit status 77" ? "SKIP" : "PASS") "\t" suite "/" name
    }
    name = result = ""
    cases = failed = 0
}
