# Reads the TAP of `node --test` (18 or newer, whose nesting differs); writes "PASS|FAIL|SKIP<tab>name: outer > inner".
# Only leaves are cases; an outer test counts when it failed by itself.
# Variables: name, file (the test file's path, which some versions report as an outermost test).
match($0, /^ */) { depth = RLENGTH / 4; line = substr($0, RLENGTH + 1) }
line ~ /^# Subtest: / {
    title[depth] = substr(line, 12)
    inner[depth + 1] = inner_failed[depth + 1] = 0
    next
}
line ~ /^(not )?ok [0-9]+( |$)/ {
    verdict = line ~ /^not/ ? "FAIL" : "PASS"
    if (line ~ /# (SKIP|TODO)/) verdict = "SKIP"
    leaf = !inner[depth + 1]
    inner[depth]++
    if (verdict == "FAIL") inner_failed[depth]++
    if (leaf || (verdict == "FAIL" && !inner_failed[depth + 1])) {
        print verdict "\t" name ": " path(depth)
        seen = 1
    }
}
END { if (!seen) print "FAIL\t" name ": no case was reported" }

function path(d,    i, p) {
    for (i = 0; i <= d; i++)
        if (title[i] != file || i == d) p = p (p == "" ? "" : " > ") title[i]
    return p == file ? "the file itself" : p
}
