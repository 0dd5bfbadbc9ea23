#!/usr/bin/python3
"""Measures Keyhold beside what it is to be compared with; scripts/bench runs it. docs/bench.md says what each row means."""
import argparse
import importlib
import os
import sys

import figures
import programs

PARTS = {
    'crypto': 'sealing and opening a block, beside OpenSSL alone',
    'gateway': "one PostgreSQL through the gateway, directly, and through pgbouncer",
    'sql': 'a Keyhold cluster beside the same PostgreSQL on a plain directory',
    'store': 'the mount beside a plain directory and other file systems',
    'many': 'a store of a thousand, of a hundred thousand and of a million files: mount, look-ups, memory',
    'reencrypt': 'a cluster while its data goes over to a new data key, beside itself at rest',
    'cmek': 'time to lock, to return, to enable, to rotate',
    'idle': 'processor and memory of clusters that nobody uses, beside plain PostgreSQL',
    'kms': 'a wrap and an unwrap over a kept connection, beside the bare round trip',
    'probes': 'key watches of many nodes in one process: calls, CPU, memory',
    'api': 'the Cloud API with few clusters and with many',
}


def arguments():
    parser = argparse.ArgumentParser(prog='scripts/bench', description=__doc__.splitlines()[0],
                                     epilog='parts: ' + '; '.join(f'{name}: {what}' for name, what in PARTS.items()))
    parser.add_argument('parts', nargs='*', metavar='PART', help='all when none is named')
    parser.add_argument('--quick', action='store_true', help='tiny sizes: whether it works, not how fast it is')
    parser.add_argument('--rounds', type=int, help='interleaved rounds (default: 5)')
    parser.add_argument('--seconds', type=int, help='of each pgbench and random workload in a round (default: 6)')
    parser.add_argument('--tries', type=int, help='of part cmek (default: 20)')
    parser.add_argument('--only', metavar='TEXT', action='append', default=[], help='only rows whose name contains TEXT')
    parser.add_argument('--subjects', metavar='A,B', help='parts sql and store: only these beside the first')
    parser.add_argument('--against', metavar='PROGRAM', action='append', default=[],
                        help='parts gateway and store: another build of gateway_alone or store_mount_helper, as one more subject')
    parser.add_argument('-o', choices=['table', 'json'], default='table', help='what is printed')
    parser.add_argument('--write', metavar='FILE', help='writes the JSON there too')
    parser.add_argument('--plot', metavar='FILE', help='part store: draws its table (PNG or SVG by the name)')
    options = parser.parse_args()
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f'there is no part "{unknown[0]}"; there are: {", ".join(PARTS)}')
    options.parts = options.parts or list(PARTS)
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (0 if options.quick else 6)
    options.tries = options.tries or (1 if options.quick else 20)
    options.wants = lambda what: not options.only or any(text in what for text in options.only)
    return options


def main():
    options = arguments()
    if os.geteuid() != 0:
        sys.exit('scripts/bench: mounts, and runs PostgreSQL as its own user: run it as root')
    machine = programs.machine()
    document = {'machine': machine, 'quick': options.quick, 'rounds': options.rounds, 'parts': {}}
    if options.o == 'table':
        print(f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, Linux {machine['kernel']}; "
              f"load {machine['load'][0]:.1f}; commit {machine['commit']}")
    # What others print is not what was asked for.
    sys.stdout.flush()
    out = os.fdopen(os.dup(1), 'w')
    os.dup2(2, 1)
    failed = False
    for part in options.parts:
        figures.progress(f'part {part}')
        try:
            text, rows = importlib.import_module(part if part != 'crypto' else 'sectors').measure(options, figures.progress)
        except programs.Failed as error:
            print(f'scripts/bench: part {part}: {error}', file=sys.stderr)
            failed = True
            continue
        document['parts'][part] = rows
        failed = failed or (options.quick and not complete(rows))
        if options.o == 'table':
            print('\n' + '\n'.join(text), file=out, flush=True)
    if options.o == 'json':
        figures.dump(document, out)
        out.flush()
    if options.write:
        with open(options.write, 'w') as file:
            figures.dump(document, file)
    sys.exit(1 if failed else 0)


def complete(rows):
    """Whether each row has a figure of something of Keyhold's."""
    return all(any(subject['median'] for subject in row['subjects'].values()) for row in rows)


if __name__ == '__main__':
    main()
