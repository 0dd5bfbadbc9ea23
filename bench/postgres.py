"""A PostgreSQL 15 in a directory of anybody's, and the workloads that run against any of them."""
import dataclasses
import os
import pathlib
import re
import shutil
import time

import programs
from programs import POSTGRES, ROOT, Failed, run

PASSWORD = 'correct-horse-battery'


def engine_settings():
    """The settings that Keyhold gives its own PostgreSQL, taken from where it does."""
    source = (ROOT / 'src/engine/postgres.cc').read_text()
    found = re.search(r'kSettings\[\] = R"\((.*?)\)"', source, re.S)
    if not found:
        raise Failed('src/engine/postgres.cc has no kSettings any more; the bench takes its settings from there')
    dropped = ('listen_addresses', 'unix_socket_permissions')
    return '\n'.join(line for line in found[1].splitlines() if not line.startswith(dropped))


@dataclasses.dataclass
class Target:
    """How to reach a database: a connection string, and what to put before the program."""
    conninfo: str
    prefix: tuple = ()
    password: str = PASSWORD

    def command(self, *words):
        env = dict(os.environ, PGPASSWORD=self.password, PGCONNECT_TIMEOUT='30', PGOPTIONS='')
        return run(*self.prefix, *words, env=env, timeout=1800)

    def sql(self, *commands):
        words = [word for command in commands for word in ('-c', command)]
        return self.command(POSTGRES / 'psql', '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-d', self.conninfo, *words).strip()

    def timed(self, *commands):
        start = time.monotonic()
        self.sql(*commands)
        return time.monotonic() - start

    def pgbench(self, seconds, *more, clients=8):
        """Transactions per second. No seconds: a few transactions."""
        length = ('-T', seconds) if seconds else ('-t', 5)
        clients = clients if seconds else min(clients, 2)
        out = self.command(POSTGRES / 'pgbench', '-n', *length, '-c', clients, '-j', min(clients, 2), *more, self.conninfo)
        if not re.search(r'number of failed transactions: 0 ', out):
            raise Failed('pgbench: ' + out[-300:])
        return float(re.search(r'tps = ([0-9.]+)', out)[1])

    def load(self, scale):
        self.command(POSTGRES / 'pgbench', '-i', '-q', '-s', scale, self.conninfo)


def initialize(data, bin_dir=POSTGRES):
    """A data directory as the engine makes it, but for its superuser's name."""
    secret = pathlib.Path(data).parent / 'password'
    secret.write_text(PASSWORD + '\n')
    shutil.chown(secret, 'postgres', 'postgres')
    run('runuser', '-u', 'postgres', '--', bin_dir / 'initdb', '-D', data, '-U', 'bench', '--encoding=UTF8', '--locale=C.UTF-8',
        '--data-checksums', '-A', 'scram-sha-256', f'--pwfile={secret}', cwd='/')


class Instance:
    """Runs until `place` ends. `within`: a directory that PostgreSQL's user may write to."""

    def __init__(self, place, name, within, more=''):
        self.data = pathlib.Path(within) / 'data'
        self.port = programs.free_port()
        self.sockets = place.directory(f'{name}-sockets', 'postgres')
        certificate, key = place.certificate()
        if not self.data.exists():
            initialize(self.data)
        (self.data / 'postgresql.conf').write_text(
            f"{engine_settings()}\nlisten_addresses = '127.0.0.1'\nport = {self.port}\n"
            f"unix_socket_directories = '{self.sockets}'\nssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{key}'\n{more}\n")
        self.log = place.path / f'{name}.log'
        with open(self.log, 'w') as log:
            self.process = place.start('runuser', '-u', 'postgres', '--', POSTGRES / 'postgres', '-D', self.data, stdout=log,
                                       stderr=log, cwd='/')
        programs.until(f'PostgreSQL of {name}', 120, self.ready, self.process)

    def ready(self):
        pid = self.data / 'postmaster.pid'
        lines = pid.read_text().splitlines() if pid.exists() else []
        return len(lines) >= 8 and lines[7].startswith('ready')

    def stop(self):
        run('runuser', '-u', 'postgres', '--', POSTGRES / 'pg_ctl', '-D', self.data, '-m', 'fast', '-w', 'stop', cwd='/')
        self.process.wait(60)

    @property
    def socket(self):
        return self.sockets / f'.s.PGSQL.{self.port}'

    def unix(self, database='postgres'):
        return Target(f'host={self.sockets} port={self.port} user=bench dbname={database}')

    def tls(self, database='postgres', port=None):
        return Target(f'host=127.0.0.1 port={port or self.port} user=bench dbname={database} sslmode=require')
