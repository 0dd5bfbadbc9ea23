"""What end-to-end tests stand on: one `keyhold start` in a directory of its own, and the keys and clusters of its user.

A test's first argument may be the directory of the programs; the default is build/bin. A test module imports setUpModule
and tearDownModule from here, and uses `host`. KEYHOLD_KEEP=1 keeps the directory.
"""
import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(sys.argv.pop(1) if len(sys.argv) > 1 and not sys.argv[1].startswith('-') else ROOT / 'build/bin')
PSQL = '/usr/lib/postgresql/15/bin/psql'  # what Debian has in PATH is a Perl script that finds this one


def await_that(is_so, what, within=60, every=0.2):
    deadline = time.monotonic() + within
    while not is_so():
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {within} s: {what}')
        time.sleep(every)


class Host:
    """One directory of keyhold start, and the environment that its env.sh gives."""

    def __init__(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix='keyhold-e2e-', dir='/var/tmp'))
        self.config = self.dir / 'home'
        self.env = {}

    def start(self, *more):
        subprocess.run([BIN / 'keyhold', 'start', '--dir', self.dir / 'kh', '--background', '--probe-interval', '2s', *more],
                       check=True, timeout=120)
        text = subprocess.run(['bash', '-c', f'set -a; . {self.dir}/kh/env.sh; env -0'], check=True, capture_output=True,
                              text=True).stdout
        self.env = dict(line.split('=', 1) for line in text.split('\0') if '=' in line)
        self.env.update(XDG_CONFIG_HOME=str(self.config), PGCONNECT_TIMEOUT='10')

    def stop(self):
        subprocess.run([BIN / 'keyhold', 'stop', '--dir', self.dir / 'kh'], check=True, timeout=120)

    def run(self, *words, ok=True, timeout=120, **extra):
        done = subprocess.run([str(w) for w in words], capture_output=True, text=True, timeout=timeout, env=self.env, **extra)
        if ok and done.returncode != 0:
            raise AssertionError(f'{words} ended with {done.returncode}: {done.stdout}{done.stderr}')
        return done

    def popen(self, *words):
        return subprocess.Popen([str(w) for w in words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env)

    def processes(self, kind):
        """This host's processes of a kind: by their arguments, a node's PostgreSQL and its backends by their parents."""
        everyone = subprocess.run(['ps', '-eo', 'pid=,ppid=,args='], capture_output=True, text=True).stdout.splitlines()
        rows = [(int(p), int(pp), args) for p, pp, args in (line.split(None, 2) for line in everyone)]
        if kind == 'postgres':
            nodes = self.processes('node')
            return [pid for pid, parent, args in rows if parent in nodes and '/bin/postgres' in args]
        if kind == 'backend':
            postgres = self.processes('postgres')
            return [pid for pid, parent, args in rows if parent in postgres and 'postgres: maya' in args]
        return [pid for pid, _, args in rows if f'keyhold {kind} ' in args and str(self.dir) in args]

    def kill(self, *kinds):
        for kind in kinds:
            for pid in self.processes(kind):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def node_dir(self, cluster_id):
        """The directory of a cluster's only node."""
        found = [f.parent for f in (self.dir / 'kh/nodes').glob('*/desired.json')
                 if json.loads(f.read_text())['cluster_id'] == cluster_id]
        assert len(found) == 1, found
        return found[0]

    def json(self, *words):
        return json.loads(self.run(*words).stdout)

    def call(self, method, path, body=None, headers=None):
        """One call of the Cloud API, its body as it stands: the HTTP status and the answer. A key makes 10 in a second."""
        while True:
            status, wait, answer = self.exchange(method, path, body, headers)
            if status != 429:
                return status, answer
            time.sleep(int(wait))

    def exchange(self, method, path, body, headers):
        server = urllib.parse.urlsplit(self.env['COCKROACH_SERVER'])
        connection = http.client.HTTPConnection(server.hostname, server.port, timeout=30)
        try:
            connection.request(method, path, body, {'Authorization': f'Bearer {self.env["COCKROACH_API_KEY"]}',
                                                    'Content-Type': 'application/json', **(headers or {})})
            answer = connection.getresponse()
            return answer.status, answer.getheader('Retry-After', '1'), answer.read()
        finally:
            connection.close()

    def await_server(self, within=60):
        """Until the server answers: after a kill it is started again beside this process."""
        deadline = time.monotonic() + within
        while self.run(BIN / 'ccloud', 'cluster', 'list', '-o', 'json', ok=False).returncode != 0:
            if time.monotonic() > deadline:
                raise AssertionError(f'the server does not answer after {within} s')


host = Host()


def setUpModule():
    host.start()


def tearDownModule():
    host.stop()
    if os.environ.get('KEYHOLD_KEEP') is None:
        shutil.rmtree(host.dir)
    else:
        print(f'kept: {host.dir}')


class Key:
    """A customer's key in AWS KMS."""

    def __init__(self, *more, region='us-east-1', grant=True, without=None):
        self.region = region
        made = host.json('aws', 'kms', 'create-key', '--description', 'CockroachDB CMEK - e2e', '--key-usage', 'ENCRYPT_DECRYPT',
                         '--origin', 'AWS_KMS', '--region', region, *more)['KeyMetadata']
        self.id, self.arn = made['KeyId'], made['Arn']
        if grant:
            self.grant(without)

    def aws(self, command, *words):
        return host.run('aws', 'kms', command, '--key-id', self.id, '--region', self.region, *words)

    def grant(self, without=None, principal=None):
        account = self.arn.split(':')[4]
        actions = [a for a in ('kms:Encrypt', 'kms:Decrypt', 'kms:GenerateDataKey', 'kms:DescribeKey') if a != without]
        statements = [{'Effect': 'Allow', 'Principal': {'AWS': f'arn:aws:iam::{account}:root'}, 'Action': 'kms:*', 'Resource': '*'},
                      {'Effect': 'Allow', 'Principal': {'AWS': principal or host.env['KEYHOLD_AWS_PRINCIPAL_ARN']},
                       'Action': actions, 'Resource': '*'}]
        self.policy({'Version': '2012-10-17', 'Statement': statements})

    def policy(self, policy):
        self.aws('put-key-policy', '--policy-name', 'default', '--policy', json.dumps(policy))

    def revoke(self):
        account = self.arn.split(':')[4]
        self.policy({'Version': '2012-10-17', 'Statement': [
            {'Effect': 'Allow', 'Principal': {'AWS': f'arn:aws:iam::{account}:root'}, 'Action': 'kms:*', 'Resource': '*'}]})

    def spec(self):
        return json.dumps({'type': 'AWS_KMS', 'uri': self.arn, 'auth_principal': host.env['KEYHOLD_AWS_PRINCIPAL_ARN']})


class Cluster:
    def __init__(self, name, plan='ADVANCED', add_on=True, cloud='AWS', region='us-east-1'):
        self.name = name
        host.run(BIN / 'ccloud', 'cluster', 'create', plan, name, region, '--cloud', cloud,
                 *(['--advanced-security-add-on'] if add_on else []), '--wait')
        host.run(BIN / 'ccloud', 'cluster', 'user', 'create', name, 'maya', '-p', 'correct-horse-battery')
        self.url = host.run(BIN / 'ccloud', 'cluster', 'sql', name, '-u', 'maya', '-p', 'correct-horse-battery',
                            '--connection-url').stdout.strip()

    def info(self):
        return host.json(BIN / 'ccloud', 'cluster', 'info', self.name, '-o', 'json')

    def update(self, key, ok=True):
        return host.run(BIN / 'ccloud', 'cluster', 'update', self.info()['id'], '--cmek-key-spec', key.spec(), ok=ok)

    def sql(self, text, ok=True, timeout=120):
        return host.run(PSQL, self.url, '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-c', text, ok=ok, timeout=timeout)

    def await_sql(self, serves, within):
        """How long until the cluster serves, or refuses."""
        start = time.monotonic()
        while time.monotonic() - start < within:
            done = self.sql('SELECT 1', ok=False)
            if (done.returncode == 0) == serves:
                return time.monotonic() - start, done.stderr
        raise AssertionError(f'after {within} s: {done.stdout}{done.stderr}')

    def delete(self):
        host.run(BIN / 'ccloud', 'cluster', 'delete', self.name, '--yes')


class Writer:
    """A psql that inserts rows into acks as fast as they are acknowledged, or with a `pause` of so many seconds after each,
    again and again from wherever it was thrown out."""

    def __init__(self, url, first, pause=0):
        self.url, self.next, self.pause, self.acknowledged = url, first, pause, set()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopped.is_set():
            psql = subprocess.Popen([PSQL, self.url, '-XAtq', '-v', 'ON_ERROR_STOP=1'], stdin=subprocess.PIPE, env=host.env,
                                    stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, bufsize=1)
            try:
                while not self.stopped.is_set():
                    psql.stdin.write(f"INSERT INTO acks VALUES ({self.next}, repeat('x', 300)) RETURNING id;\n")
                    self.next += 1
                    answer = psql.stdout.readline()
                    if not answer:
                        break
                    self.acknowledged.add(int(answer))
                    self.stopped.wait(self.pause)
            except BrokenPipeError:
                pass
            psql.kill()
            psql.communicate()

    def stop(self):
        self.stopped.set()
        self.thread.join()
