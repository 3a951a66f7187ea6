# Shows, of the TAP of `node --test`, what is not a passed case: failed ones with their stories, diagnostics, stray output.
/^ *ok [0-9]+( |$)/ { passed = 1; next }
/^ *not ok [0-9]+( |$)/ { passed = 0 }
passed && /^ *---$/ { in_story = 1 }
passed && in_story { if (/^ *\.\.\.$/) in_story = 0; next }
/^TAP version|^ *# Subtest: |^ *1\.\.[0-9]+$|^# (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) / { next }
{ print "   " $0 }
