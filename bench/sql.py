"""Part sql: a real cluster, CMEK enabled, beside the same PostgreSQL with the same settings on a plain directory."""
import figures
import hosts
import postgres
import programs
from figures import Row

PLAIN, PLAIN_UNIX, KEYHOLD, SOCKET = 'plain (TLS)', 'plain (unix)', 'Keyhold', 'Keyhold (unix)'


def statements(target, quick):
    """The statements of part store, each timed on its own tables."""
    rows = 20_000 if quick else 500_000
    fill = f"SELECT g, md5(g::text) FROM generate_series(1, {rows}) g"
    return {
        'COPY in': lambda: target.timed('TRUNCATE bulk', f"\\copy bulk FROM PROGRAM 'seq -f %.0f,0123456789abcdef0123456789abcdef 1 {rows}' (FORMAT csv)"),
        'CREATE TABLE AS': lambda: target.timed('DROP TABLE IF EXISTS made', f'CREATE TABLE made AS {fill}'),
        'CREATE INDEX': lambda: target.timed('DROP INDEX IF EXISTS bulk_v', 'CREATE INDEX bulk_v ON bulk (v)'),
        'VACUUM FULL': lambda: target.timed('VACUUM FULL bulk'),
        'sequential scan': lambda: target.timed('SET max_parallel_workers_per_gather = 0',
                                                'SELECT count(*), max(abalance) FROM pgbench_accounts'),
        'COPY out': lambda: target.timed("COPY bulk TO STDOUT"),
    }


def prepare(target, scale, quick):
    target.load(scale)
    rows = 20_000 if quick else 500_000
    target.sql('DROP TABLE IF EXISTS bulk', 'CREATE TABLE bulk (id int, v text)',
               f'INSERT INTO bulk SELECT g, md5(g::text) FROM generate_series(1, {rows}) g')


def statement_rows(targets, options):
    def row(what, target=''):
        return Row(what, 's', lambda s: statements(targets[s], options.quick)[what](), target, more_is_better=False)
    return [row('COPY in', '>= 0.85'), row('CREATE TABLE AS'), row('CREATE INDEX', '>= 0.85'), row('VACUUM FULL', '>= 0.85'),
            row('sequential scan'), row('COPY out')]


def pgbench_rows(targets, options, reads, writes):
    seconds = options.seconds
    return [Row('pgbench -S, 8 clients', 'tps', lambda s: targets[s].pgbench(seconds, '-S'), reads),
            Row('pgbench TPC-B', 'tps', lambda s: targets[s].pgbench(seconds), writes),
            Row('pgbench -N', 'tps', lambda s: targets[s].pgbench(seconds, '-N'), writes)]


def measure(options, note):
    with programs.Place() as place:
        harness = hosts.start(place)
        key, cluster = harness.Key(), harness.Cluster('bench')
        cluster.update(key)
        plain = postgres.Instance(place, 'plain', place.directory('plain', 'postgres'))
        targets = {PLAIN: plain.tls(), PLAIN_UNIX: plain.unix(), KEYHOLD: hosts.through_gateway(cluster),
                   SOCKET: hosts.on_socket(cluster, harness.host)}
        for target in (targets[PLAIN], targets[KEYHOLD]):
            prepare(target, 1 if options.quick else 20, options.quick)
        subjects = [s for s in targets if s == PLAIN or not options.subjects or s in options.subjects.split(',')]
        rows = pgbench_rows(targets, options, '>= 0.95', '>= 0.80') + statement_rows(targets, options) + [
            Row('connections', '/s', lambda s: targets[s].pgbench(options.seconds, '-S', '-C'))]
        rows = [row for row in rows if options.wants(row.what)]
        figures.take(rows, subjects, options.rounds, note)
        text = figures.table('A cluster under a CMEK key, beside the same PostgreSQL on a plain directory', rows, subjects, PLAIN)
        if {KEYHOLD, SOCKET} <= set(subjects):
            text += [''] + figures.table("The gateway's share: the same cluster through it and on its own socket, without TLS", rows,
                                         [SOCKET, KEYHOLD], SOCKET, targets=False)
        return text, figures.as_json(rows, PLAIN)
