"""A real Keyhold host in a directory of its own, by the module that the end-to-end tests stand on."""
import importlib
import json
import pathlib
import subprocess
import sys
import time

import postgres
import programs
from programs import BIN, ROOT

USER = 'maya'


def start(place):
    """The harness module, its host running until `place` ends."""
    words, sys.argv = sys.argv, [sys.argv[0], str(BIN)]
    sys.path.insert(0, str(ROOT / 'tests/e2e'))
    try:
        harness = importlib.import_module('harness')
    finally:
        sys.argv = words
    # Last to run: its programs are gone then.
    place.callback(subprocess.run, ['rm', '-rf', str(harness.host.dir)])
    harness.host.start()
    place.callback(harness.host.stop)
    return harness


def node_pid(host, cluster_id=None):
    """The one node of the host, or the cluster's."""
    nodes = host.processes('node')
    if len(nodes) != 1 and cluster_id is None:
        raise programs.Failed(f'{len(nodes)} nodes run, not one')
    return nodes[0]


def agents_environment(host):
    """The platform's credentials, as the agent hands them to its nodes."""
    text = pathlib.Path(f'/proc/{host.processes("agent")[0]}/environ').read_text()
    return dict(line.split('=', 1) for line in text.split('\0') if '=' in line)


def through_gateway(cluster):
    return postgres.Target(cluster.url)


def on_socket(cluster, host):
    """PostgreSQL's own socket, which is in the node's mount namespace alone. The user's password opens it too."""
    prefix = ('nsenter', '-t', str(node_pid(host)), '-m', '--')
    return postgres.Target(f'host=/mnt/sockets port=5432 user={USER} dbname=defaultdb', prefix)


class Api:
    """The Cloud API, on a connection of its own each time."""

    def __init__(self, host):
        self.host = host

    def call(self, method, path, body=None):
        status, answer = self.host.call(method, path, None if body is None else json.dumps(body))
        if status != 200:
            raise programs.Failed(f'{method} {path}: {status} {answer.decode()}')
        return json.loads(answer)


class Kms:
    """AWS KMS calls without the second that the aws command takes to start: curl signs them."""

    def __init__(self, host, config):
        self.host, self.config = host, pathlib.Path(config)
        with open(self.config, 'w') as file:
            self.config.chmod(0o600)
            file.write(f"user = \"{host.env['AWS_ACCESS_KEY_ID']}:{host.env['AWS_SECRET_ACCESS_KEY']}\"\n")
            file.write(f"cacert = \"{host.env['AWS_CA_BUNDLE']}\"\n")
            if host.env.get('AWS_SESSION_TOKEN'):
                file.write(f"header = \"X-Amz-Security-Token: {host.env['AWS_SESSION_TOKEN']}\"\n")

    def call(self, action, key):
        """When the answer was there."""
        done = subprocess.run(
            ['curl', '-sS', '--fail-with-body', '-K', str(self.config), '--aws-sigv4', f'aws:amz:{key.region}:kms', '-H',
             f'X-Amz-Target: TrentService.{action}', '-H', 'Content-Type: application/x-amz-json-1.1', '-d',
             json.dumps({'KeyId': key.arn}), f'https://kms.{key.region}.amazonaws.com/'], capture_output=True, text=True, timeout=60,
            env=self.host.env)
        if done.returncode != 0:
            raise programs.Failed(f'{action}: {done.stdout}{done.stderr}')
        return time.monotonic()
