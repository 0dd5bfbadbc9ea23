#!/usr/bin/env python3
"""What this house holds itself to and a compiler does not check: which room may know which, sizes, seams, links."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = [p for p in sorted((ROOT / 'src').rglob('*')) if p.suffix in ('.cc', '.h')]
TESTS = [p for p in sorted((ROOT / 'tests').rglob('*')) if p.suffix in ('.cc', '.h')]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]

# Rooms that may know less than all that stands above them.
ONLY = {
    'localcloud': {'base', 'crypto', 'wire'},
    'cli': {'base', 'crypto', 'recovery', 'wire'},
    'recovery': {'base', 'crypto'},
    'gateway': {'base', 'crypto'},
    'engine': {'base', 'crypto'},
    'agent': {'base', 'crypto', 'wire'},
    'api': {'base', 'crypto', 'kms', 'wire', 'control'},
    'control': {'base', 'crypto', 'kms', 'wire'},
    'store': {'base', 'crypto', 'keyring'},
}
# The places where time, environment and disk are touched; everywhere else they are arguments.
MAY_SLEEP = {
    'tests/mount/files.cc',  # waits for the kernel to forget a file, of which it tells nobody
    'tests/mount/random_main.cc',  # kills at a random instant
}
MAY_WRITE_SYSFS = {'src/store/mount.cc'}  # the kernel's read-ahead of a mount: a setting, nothing on a disk
MAY_READ_ENVIRONMENT = {'src/cli/main.cc', 'src/app/main.cc'}
SLEEP = re.compile(r'\b(sleep_for|sleep_until|usleep|nanosleep|clock_nanosleep)\s*\(|(?<![\w.>:])sleep\s*\(')
SYSTEM_CALL = re.compile(r'(?<![\w.>:])(?:::)?(open|openat|pread|pwrite|pwritev2|read|write|fsync|fdatasync|rename|renameat2?|unlink|unlinkat|'
                         r'ftruncate|truncate|fallocate|lseek|mkdir|mkdirat|fstatat|fopen|setxattr|fsetxattr|fgetxattr)\s*\(')
STREAM = re.compile(r'std::(i|o)?fstream|std::filesystem::')


def code(path):
    """A source's lines, numbered, without comments and the insides of string literals."""
    for number, line in enumerate(path.read_text().splitlines(), 1):
        yield number, re.sub(r'"(\\.|[^"\\])*"', '""', line).split('//')[0]


def rooms():
    return re.findall(r'^\| `(\w+)` \|', (ROOT / 'docs/architecture.md').read_text(), re.MULTILINE)


class Tidy(unittest.TestCase):
    def complain(self, found):
        self.assertEqual(found, [], '\n' + '\n'.join(found))

    def find(self, paths, pattern, but=()):
        self.complain([f'{p.relative_to(ROOT)}:{n}: {line.strip()}' for p in paths if str(p.relative_to(ROOT)) not in but
                       for n, line in code(p) if pattern.search(line)])

    def test_rooms_of_the_architecture_are_the_folders(self):
        self.assertEqual(sorted(rooms()), sorted(p.name for p in (ROOT / 'src').iterdir() if p.is_dir()))

    def test_a_room_stands_on_rooms_above_it(self):
        order, found = rooms(), []
        for path in SOURCES:
            room = path.relative_to(ROOT / 'src').parts[0]
            above = set(order[:order.index(room)]) & ONLY.get(room, set(order)) | {room}
            for other in re.findall(r'^#include "(\w+)/', path.read_text(), re.MULTILINE):
                if other in order and other not in above:
                    found.append(f'{path.relative_to(ROOT)}: {room} may not know {other}')
        self.complain(found)

    def test_headers_begin_with_what_they_are(self):
        self.complain([str(p.relative_to(ROOT)) for p in SOURCES if p.suffix == '.h'
                       and not (p.read_text().startswith('//') and '\n#pragma once\n' in p.read_text())])

    def test_no_file_is_too_long(self):
        self.complain([f'{p.relative_to(ROOT)}: {n} lines' for p in SOURCES if (n := len(p.read_text().splitlines())) > 800])

    def test_nothing_is_left_to_do(self):
        mark = re.compile('TO' + 'DO|FIX' + 'ME|XX' + 'X')
        self.complain([f'{p.relative_to(ROOT)}:{n}' for p in SOURCES + TESTS for n, line in enumerate(p.read_text().splitlines(), 1)
                       if mark.search(line) and 'XXXXXX' not in line])

    def test_time_is_awaited_and_never_slept(self):
        self.find(SOURCES + TESTS, SLEEP, MAY_SLEEP)

    def test_the_environment_is_read_in_main(self):
        self.find(SOURCES, re.compile(r'\b(secure_)?getenv\s*\(|extern char ?\*\* ?environ'), MAY_READ_ENVIRONMENT)

    def test_key_rings_and_stores_touch_the_disk_through_the_seam(self):
        paths = [p for p in SOURCES if p.relative_to(ROOT / 'src').parts[0] in ('store', 'keyring')]
        self.find(paths, SYSTEM_CALL)
        self.find(paths, STREAM, MAY_WRITE_SYSFS)

    def test_links_lead_somewhere(self):
        found = []
        for page in PAGES:
            for target in re.findall(r'\]\(([^)#]+)(?:#[^)]*)?\)', page.read_text()):
                if not re.match(r'https?://|mailto:', target) and not (page.parent / target).exists():
                    found.append(f'{page.relative_to(ROOT)}: {target}')
        self.complain(found)

    def test_files_that_pages_name_are_there(self):
        found = []
        for page in PAGES:
            if page.name == 'roadmap.md':  # speaks of what is not there yet
                continue
            for name in re.findall(r'`((?:src|tests|docs|scripts|bench|cmake)/[\w./-]+)`', page.read_text()):
                if not (ROOT / name).exists():
                    found.append(f'{page.relative_to(ROOT)}: {name}')
        self.complain(found)


if __name__ == '__main__':
    unittest.main(verbosity=2)
