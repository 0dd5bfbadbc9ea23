"""A real Keyhold host in a directory of its own, by the module that the end-to-end tests stand on."""
import importlib
import itertools
import json
import pathlib
import subprocess
import sys

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

    def __init__(self, host, keys=0):
        """With so many API keys of its own, which take turns: each may make 10 requests in a second. Without: env.sh's."""
        self.host, self.bearers = host, itertools.cycle([None])
        if keys > 0:
            account = self.call('GET', '/api/v1/service-accounts')['service_accounts'][0]['id']
            made = [self.call('POST', '/api/v1/api-keys', {'name': 'bench', 'service_account_id': account}) for _ in range(keys)]
            self.bearers = itertools.cycle([{'Authorization': f'Bearer {key["secret"]}'} for key in made])

    def call(self, method, path, body=None):
        status, answer = self.host.call(method, path, None if body is None else json.dumps(body), next(self.bearers))
        if status != 200:
            raise programs.Failed(f'{method} {path}: {status} {answer.decode()}')
        return json.loads(answer)
