#!/usr/bin/env python3
"""PostgreSQL's own regression and isolation suites on a store, beside a plain directory.

    tests/mount/postgres_suite.py SOURCE [regress|isolation]     BUILD_DIR=build

SOURCE is PostgreSQL 15's source tree (apt-get source postgresql-15, which needs a deb-src line), of the minor version that is
installed, else some tests fail on both; pg_regress is in postgresql-server-dev-15. Not part of scripts/test: it takes minutes and
the source. Fails where a test fails on the store that passes on the plain directory.
"""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / 'bench'))
import postgres
import programs
import store

TOOLS = pathlib.Path('/usr/lib/postgresql/15/lib/pgxs/src/test')
SUITES = {'regress': ('regress/pg_regress', 'parallel_schedule', ('--no-locale',)),
          'isolation': ('isolation/pg_isolation_regress', 'isolation_schedule', ())}


def build_helpers(place, source):
    """regress.so, whose functions the suite calls."""
    library = place.directory('library')
    include = programs.run(postgres.POSTGRES / 'pg_config', '--includedir-server').strip()
    folder = source / 'src/test/regress'
    programs.run('cc', '-O1', '-fPIC', '-shared', '-I', include, '-I', folder, '-o', library / 'regress.so', folder / 'regress.c')
    return library


def run(place, source, library, suite, name, server):
    """How many passed, and the names of those that did not."""
    program, schedule, more = SUITES[suite]
    out = place.directory(f'{name}-{suite}', 'postgres')
    folder = source / 'src/test' / suite
    done = subprocess.run(
        ['runuser', '-u', 'postgres', '--', 'env', f'PGPASSWORD={postgres.PASSWORD}', f'PATH={postgres.POSTGRES}:/usr/bin:/bin',
         TOOLS / program, f'--inputdir={folder}', f'--outputdir={out}', f'--dlpath={library}', f'--bindir={postgres.POSTGRES}',
         f'--schedule={folder / schedule}', f'--host={server.sockets}', f'--port={server.port}', '--user=bench',
         '--max-connections=8', *more], capture_output=True, text=True, cwd=out)
    passed = len(re.findall(r'\.\.\. ok\b', done.stdout))
    failed = set(re.findall(r'^(?:test)?\s+(\S+)\s+\.\.\. FAILED', done.stdout, re.M))
    if passed + len(failed) < 50:
        raise programs.Failed(f'{suite} on {name}: {(done.stdout + done.stderr)[-500:]}')
    print(f'{suite} on {name}: {passed} passed, {len(failed)} failed {" ".join(sorted(failed))}', flush=True)
    return failed


def main():
    if len(sys.argv) < 2 or not (pathlib.Path(sys.argv[1]) / 'src/test/regress').is_dir():
        sys.exit(__doc__)
    source = pathlib.Path(sys.argv[1]).resolve()
    with programs.Place() as place:
        library = build_helpers(place, source)
        mounted = store.mount_keyhold(place, 'store', None)
        servers = {'plain': postgres.Instance(place, 'plain', place.directory('plain', 'postgres')),
                   'store': postgres.Instance(place, 'store', mounted.dir)}
        worse = {}
        for suite in sys.argv[2:] or SUITES:
            failed = {name: run(place, source, library, suite, name, server) for name, server in servers.items()}
            worse[suite] = failed['store'] - failed['plain']
    for suite, names in worse.items():
        if names:
            print(f'{suite}: only on the store: {" ".join(sorted(names))}')
    sys.exit(1 if any(worse.values()) else 0)


if __name__ == '__main__':
    main()
