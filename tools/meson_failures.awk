# Shows, of Meson's testlog.txt, the programs that failed: their names, and what they said (the end of it, if it is long).
/^=+ [0-9]+\/[0-9]+ =+$/ { show(); next }
/^==============================================================================$/ { show(); next }
/^test: / && !name { name = $0; sub(/^test: +/, "", name) }
/^result: / && !result { result = $0; sub(/^result: +/, "", result) }
name && !/^(test|start time|duration|result|command): / && !/^(# )?ok / { text[++n] = $0 }
END { show() }

function show(    i) {
    if (name && result != "exit status 0" && result != "exit status 77") {
        print "-- " name ": " result
        for (i = n > 120 ? n - 119 : 1; i <= n; i++) print text[i]
    }
    name = result = ""
    n = 0
}
