#!/usr/bin/env python3
"""Runs the pages of docs/ as they stand: each page's blocks marked `sh`, in order, as one script in one shell.

    tests/e2e/docs_test.py [BIN_DIR]
"""
import re
import subprocess
import tempfile
import unittest

from harness import ROOT, host, setUpModule, tearDownModule  # noqa: F401

BLOCK = re.compile(r'^```sh\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def pages():
    return [page for page in sorted([ROOT / 'README.md', *(ROOT / 'docs').rglob('*.md')]) if BLOCK.search(page.read_text())]


class Docs(unittest.TestCase):
    def test_pages_run(self):
        self.assertGreaterEqual(len(pages()), 2)
        for page in pages():
            with self.subTest(page.name), tempfile.TemporaryDirectory() as folder:
                script = 'set -euo pipefail\n' + '\n'.join(BLOCK.findall(page.read_text()))
                done = subprocess.run(['bash', '-c', script], cwd=folder, env=host.env, capture_output=True, text=True, timeout=300)
                self.assertEqual(done.returncode, 0, f'{page}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}')


if __name__ == '__main__':
    unittest.main(verbosity=2)
