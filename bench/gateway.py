"""Part gateway: one PostgreSQL on a plain directory, reached in four ways."""
import ctypes
import pathlib
import shutil
import subprocess

import figures
import postgres
import programs
from figures import Row

UNIX, TLS, GATEWAY, POOLER = 'unix socket', 'direct, TLS', 'gateway', 'pgbouncer'


def start_gateway(place, server, name='gateway', program=None):
    certificate, key = place.certificate()
    port = programs.free_port()
    process = place.start(program or programs.BIN / 'gateway_alone', server.socket, certificate, key, port, stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True)
    if not any(line == 'ready\n' for line in process.stdout):
        raise programs.Failed('gateway_alone did not start')
    return process, server.tls(port=port)


def start_pgbouncer(place, socket_dir, socket_port, user, password, prefix=(), database='postgres'):
    """One server connection per client connection, as the gateway has it, and TLS towards clients."""
    home = place.directory('pgbouncer', 'postgres')
    certificate, key = place.certificate()
    port = programs.free_port()
    (home / 'users').write_text(f'"{user}" "{password}"\n')
    (home / 'ini').write_text(
        f'[databases]\n* = host={socket_dir} port={socket_port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n'
        f'unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {home}/users\npool_mode = session\nserver_lifetime = 0\nmax_client_conn = 2000\n'
        f'default_pool_size = 1000\nclient_tls_sslmode = require\nclient_tls_key_file = {key}\nclient_tls_cert_file = {certificate}\n'
        f'logfile = {home}/log\npidfile = {home}/pid\nignore_startup_parameters = extra_float_digits,options\n')
    process = place.start(*prefix, 'runuser', '-u', 'postgres', '--', 'pgbouncer', '-q', home / 'ini', stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL)
    programs.until('pgbouncer', 20, lambda: programs.listens(port), process)
    pid = int((home / 'pid').read_text())
    return pid, postgres.Target(f'host=127.0.0.1 port={port} user={user} dbname={database} sslmode=require')


def idle_sessions(target, pid, count):
    """KiB of resident memory for each of `count` sessions that do nothing."""
    pq = ctypes.CDLL('libpq.so.5')
    pq.PQconnectdb.restype = ctypes.c_void_p
    for function in (pq.PQfinish, pq.PQstatus):
        function.argtypes = [ctypes.c_void_p]
    before = programs.resident_kib(pid)
    sessions = [pq.PQconnectdb(f'{target.conninfo} password={target.password}'.encode()) for _ in range(count)]
    failed = sum(pq.PQstatus(session) != 0 for session in sessions)
    after = programs.resident_kib(pid)
    for session in sessions:
        pq.PQfinish(session)
    if failed:
        raise programs.Failed(f'{failed} of {count} connections failed')
    return (after - before) / count


def measure(options, note):
    with programs.Place() as place:
        idle = 20 if options.quick else 1000
        server = postgres.Instance(place, 'plain', place.directory('plain', 'postgres'), f'max_connections = {idle + 50}')
        server.unix().load(1 if options.quick else 20)
        targets, pids = {UNIX: server.unix(), TLS: server.tls()}, {}
        for i, program in enumerate([None] + options.against):
            name = GATEWAY if i == 0 else f'gateway {i + 1}'
            process, targets[name] = start_gateway(place, server, name, program)
            pids[name] = process.pid
        if shutil.which('pgbouncer'):
            pids[POOLER], targets[POOLER] = start_pgbouncer(place, server.sockets, server.port, 'bench', postgres.PASSWORD)
        else:
            note('pgbouncer is not installed: apt-get install pgbouncer')
        seconds = options.seconds
        rows = [
            Row('pgbench -S, 8 clients', 'tps', lambda s: targets[s].pgbench(seconds, '-S'), '>= 0.97'),
            Row('pgbench -S, 1 client', 'tps', lambda s: targets[s].pgbench(seconds, '-S', clients=1)),
            Row('pgbench -S -M prepared', 'tps', lambda s: targets[s].pgbench(seconds, '-S', '-M', 'prepared')),
            Row('pgbench -N', 'tps', lambda s: targets[s].pgbench(seconds, '-N'), '>= 0.97'),
            Row('100 statements in a pipeline', 'tps', lambda s: targets[s].pgbench(seconds, '-M', 'extended', '-f', pipeline(place)),
                ''),
            Row('rows out, 1 client', 'MB/s', lambda s: rows_out(targets[s], options.quick)),
            Row('COPY in, 1 client', 'MB/s', lambda s: copy_in(place, targets[s], options.quick)),
            Row('connections', '/s', lambda s: targets[s].pgbench(seconds, '-S', '-C')),
            Row('memory of an idle connection', 'KiB', lambda s: idle_sessions(targets[s], pids[s], idle) if s in pids else None,
                more_is_better=False, rounds=1),
        ]
        rows = [row for row in rows if options.wants(row.what)]
        subjects = list(targets)
        figures.take(rows, subjects, options.rounds, note)
        speed = [row for row in rows if row.unit != 'KiB']
        text = figures.table('One PostgreSQL on a plain directory, reached four ways: ratio to a direct TLS connection', speed, subjects,
                             TLS)
        for row in rows:
            if row.unit == 'KiB':
                text += [''] + [f'{row.what}: ' + ', '.join(f'{s} {figures.number(row.median(s))} KiB' for s in pids)]
        return text, figures.as_json(rows, TLS)


def pipeline(place):
    script = place.path / 'pipeline.sql'
    if not script.exists():
        script.write_text('\\startpipeline\n' + 'SELECT abalance FROM pgbench_accounts WHERE aid = 1;\n' * 100 + '\\endpipeline\n')
        script.chmod(0o644)
    return script


def rows_out(target, quick):
    count = 20_000 if quick else 1_000_000
    took = target.timed(f"COPY (SELECT repeat('x', 100) FROM generate_series(1, {count})) TO STDOUT")
    return count * 101 / 1e6 / took


def copy_in(place, target, quick):
    count = 20_000 if quick else 1_000_000
    source = pathlib.Path(place.path / 'rows')
    if not source.exists():
        source.write_text(('x' * 100 + '\n') * count)
    target.sql('DROP TABLE IF EXISTS taken', 'CREATE UNLOGGED TABLE taken (v text)')
    return count * 101 / 1e6 / target.timed(f"\\copy taken FROM '{source}'")
