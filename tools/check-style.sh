#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Copyright (c) 2026 The apir authors
#
# Checks the files of the tree as a reviewer would. One line a check; exit code 1 if any failed.
set -uo pipefail

usage() {
	cat <<-EOT
	usage: tools/check-style.sh [--fix] [--help]

	Checks every file of the tree (tracked, and new ones that git does not ignore):
	formatting, DPDK's forbidden calls, file length, licence lines, white space, scripts.

	  --fix   let clang-format put the formatting right
	EOT
}

fix=
case ${1:-} in
"") ;;
--fix) fix=1 ;;
-h | --help) usage; exit 0 ;;
*) echo "check-style.sh: unknown option '$1' (see --help)" >&2; exit 2 ;;
esac
cd "$(dirname "$0")/.." || exit 1

if git rev-parse --git-dir >/dev/null 2>&1; then
	mapfile -t all < <(git ls-files -co --exclude-standard | while read -r f; do [ -f "$f" ] && echo "$f"; done)
else
	mapfile -t all < <(find . -type f -not -path './build*' -not -path '*/__pycache__/*' | sed 's,^\./,,')
fi
# of PATTERN...: the files of the tree whose path matches one of the (bash) patterns.
of() {
	local f p
	for f in "${all[@]}"; do
		for p in "$@"; do
			# shellcheck disable=SC2053 # a pattern is meant
			[[ $f == $p ]] && echo "$f"
		done
	done
}
mapfile -t c_files < <(of '*.c' '*.h')
mapfile -t library < <(of 'lib/*.[ch]' 'drivers/*.[ch]')
mapfile -t system < <(of 'lib/*.[ch]' 'drivers/*.[ch]' 'backend/*.[ch]')
mapfile -t scripts < <(of '*.sh' '.ci/run' 'tests/run_*')
mapfile -t python < <(of '*.py')
mapfile -t code < <(of '*.[ch]' '*.cl' '*.x' '*.sh' '*.py' '*meson.build' '.ci/run')
mapfile -t text < <(of '*.[ch]' '*.cl' '*.x' '*.sh' '*.py' '*meson.build' '*.md' '*.8' '*.in' '.ci/run' '*.supp' '*.txt')

passed=0 failed=0 skipped=0
# check NAME COMMAND...: passes if the command succeeds; its output explains a failure.
check() {
	local name=$1 out
	shift
	if out=$("$@" 2>&1); then
		echo "ok    $name"
		passed=$((passed + 1))
	else
		echo "FAIL  $name"
		echo "$out" | head -n 40 | sed 's/^/      /'
		failed=$((failed + 1))
	fi
}
# none PATTERN FILE...: no line of the files matches (comments do not count).
none() {
	local pattern=$1
	shift
	[ $# -gt 0 ] || return 0
	! grep -nP "$pattern" "$@" /dev/null | grep -vP '^[^:]*:\d+:\s*(/?\*|//)'
}

format() {
	[ -z "$fix" ] || clang-format -i "${c_files[@]}"
	clang-format --dry-run -Werror "${c_files[@]}"
}
length() {
	local f n bad=0
	for f in "${code[@]}"; do
		n=$(wc -l <"$f")
		[ "$n" -le 600 ] || { echo "$f: $n lines, 600 at most: is it one job?"; bad=1; }
	done
	return $bad
}
licence() {
	local f bad=0
	for f in "${code[@]}"; do
		head -n 4 "$f" | grep -q 'SPDX-License-Identifier: BSD-3-Clause' || { echo "$f: no SPDX line"; bad=1; }
	done
	return $bad
}
white() { ! grep -nP '[ \t]+$' "${text[@]}" /dev/null; }
newline() {
	local f bad=0
	for f in "${text[@]}"; do
		[ ! -s "$f" ] || [ -z "$(tail -c 1 "$f")" ] || { echo "$f: no newline at the end"; bad=1; }
	done
	return $bad
}
links() {
	python3 - "${all[@]}" <<-'EOT'
	import os, re, sys
	bad = 0
	for f in (a for a in sys.argv[1:] if a.endswith(".md")):
	    for target in re.findall(r"\]\(([^)\s]+)\)", open(f, encoding="utf-8").read()):
	        path = target.split("#")[0]
	        if re.match(r"[a-z]+:", target) or not path:
	            continue
	        if not os.path.exists(os.path.join(os.path.dirname(f), path)):
	            print(f"{f}: link to {target}: no such file")
	            bad = 1
	sys.exit(bad)
	EOT
}
unfinished() { ! grep -nE '\b(TODO|FIXME|HACK)\b' "${code[@]}" /dev/null | grep -v '^tools/check-style.sh:'; }
compile_python() {
	python3 -c 'import ast, sys
for f in sys.argv[1:]:
    ast.parse(open(f, encoding="utf-8").read(), f)' "${python[@]}"
}

if command -v clang-format >/dev/null; then
	check "clang-format" format
else
	echo "skip  clang-format: not installed"
	skipped=$((skipped + 1))
fi
check "no rte_panic, rte_exit, stdout or stderr in lib and drivers" \
	none '\b(rte_panic|rte_exit|v?printf|putchar|puts|perror|exit|abort)\s*\(|\bfprintf\s*\(\s*std(out|err)' "${library[@]}"
check "no __atomic builtins or rte_smp barriers" none '\b__(atomic|sync)_\w+\s*\(|\brte_smp_[rw]?mb\b' "${system[@]}"
check "no bare RTE_LOG" none '\bRTE_LOG\s*\(' "${system[@]}"
check "no unfinished words" unfinished
check "files of at most 600 lines" length
check "licence lines" licence
check "no white space at line ends" white
check "a newline at each file's end" newline
check "links between documents" links
check "Python parses" compile_python
if command -v shellcheck >/dev/null; then
	check "shellcheck" shellcheck -x -P SCRIPTDIR "${scripts[@]}"
else
	echo "skip  shellcheck: not installed"
	skipped=$((skipped + 1))
fi
echo "style: $passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
