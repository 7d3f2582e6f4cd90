"""Runs pyright and checks that it analysed all source files.

Given a wrong path, pyright analyses none and exits 0.
"""

import json
import subprocess
import sys

from workspace import ROOT, packages


def main() -> int:
    done = subprocess.run(["pyright", "--outputjson"], cwd=ROOT, capture_output=True, text=True)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        print(done.stdout, done.stderr, sep="\n")
        return 1
    for found in report["generalDiagnostics"]:
        if found["severity"] == "error":
            line = found["range"]["start"]["line"] + 1
            print(f"{found['file'].removeprefix(f'{ROOT}/')}:{line}: {found['message']} [{found.get('rule', '')}]")
    summary = report["summary"]
    expected = sum(len(list(package.source.rglob("*.py"))) for package in packages().values())
    print(f"pyright: {summary['errorCount']} errors in {summary['filesAnalyzed']} files")
    if summary["filesAnalyzed"] < expected:
        print(f"expected at least {expected} files in packages/; look at [tool.pyright] in pyproject.toml")
        return 1
    return 1 if summary["errorCount"] else 0


if __name__ == "__main__":
    sys.exit(main())
