"""Part api: two servers, one with few clusters and one with many, asked the same. No agent: nothing but the server runs."""
import http.client
import json
import os
import statistics
import time

import figures
import programs
from figures import Row

FEW = 100


class Server:
    def __init__(self, place, count):
        self.dir = place.directory(f'{count}-clusters')
        (self.dir / 'server').mkdir(exist_ok=True)
        port = programs.free_port()
        with open(place.path / f'{count}.log', 'w') as log:
            self.process = place.start(programs.BIN / 'keyhold', 'server', '--dir', self.dir, '--listen', f'127.0.0.1:{port}',
                                       '--requests-per-second', '0', stdout=log, stderr=log)
        self.address = f'127.0.0.1:{port}'
        programs.until('the server', 60, lambda: programs.listens(port), self.process)
        self.key = (self.dir / 'server/api-key').read_text().strip()
        self.connection = http.client.HTTPConnection(self.address, timeout=60)
        self.bare_kib = programs.resident_kib(self.process.pid)
        self.ids = [self.create(f'c{i:05}') for i in range(count)]
        self.environment = dict(os.environ, COCKROACH_SERVER=f'http://{self.address}', COCKROACH_API_KEY=self.key,
                                XDG_CONFIG_HOME=str(place.directory('config')))
        self.asked = 0

    def call(self, method, path, body=None):
        headers = {'Authorization': f'Bearer {self.key}', 'Content-Type': 'application/json'}
        self.connection.request(method, path, json.dumps(body) if body else None, headers)
        try:
            answer = self.connection.getresponse()
        except http.client.RemoteDisconnected:  # it was idle for longer than the server keeps a connection
            if method != 'GET':
                raise
            self.connection.request(method, path, headers=headers)
            answer = self.connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise programs.Failed(f'{method} {path}: {answer.status} {text[:200]}')
        return json.loads(text)

    def create(self, name):
        return self.call('POST', '/api/v1/clusters',
                         {'name': name, 'provider': 'AWS', 'spec': {'plan': 'BASIC', 'serverless': {'regions': ['us-east-1']}}})['id']

    def timed(self, path):
        start = time.monotonic()
        self.call('GET', path)
        return (time.monotonic() - start) * 1000

    def cluster(self):
        """Another one each time."""
        self.asked += 7919
        return self.timed(f'/api/v1/clusters/{self.ids[self.asked % len(self.ids)]}')

    def first_page(self):
        return self.timed('/api/v1/clusters?pagination.limit=50')

    def last_page(self):
        key, path = '', '/api/v1/clusters?pagination.limit=500'
        while True:
            page = self.call('GET', path + (f'&pagination.page={key}' if key else ''))
            following = page.get('pagination', {}).get('next_page', '')
            if not following:
                break
            key = following
        return self.timed('/api/v1/clusters?pagination.limit=50' + (f'&pagination.page={key}' if key else ''))

    def ccloud(self):
        start = time.monotonic()
        programs.run(programs.BIN / 'ccloud', 'cluster', 'info', self.ids[0], '-o', 'json', env=self.environment)
        return (time.monotonic() - start) * 1000


def quantile(take, tries, q):
    samples = sorted(take() for _ in range(tries))
    return samples[min(len(samples) - 1, round(q * (len(samples) - 1)))]


def measure(options, note):
    many = 300 if options.quick else 10_000
    tries = 20 if options.quick else 500
    with programs.Place() as place:
        few_name, many_name = f'{FEW} clusters', f'{many:,} clusters'
        note(f'creating {FEW + many:,} clusters')
        servers = {few_name: Server(place, FEW), many_name: Server(place, many)}
        row = lambda what, take: Row(what, 'ms', lambda s: take(servers[s]), more_is_better=False)
        rows = [
            row('GET a cluster, p50', lambda s: quantile(s.cluster, tries, 0.5)),
            row('GET a cluster, p99', lambda s: quantile(s.cluster, tries, 0.99)),
            row('list, first page of 50, p50', lambda s: quantile(s.first_page, tries // 5, 0.5)),
            row('list, last page, p50', lambda s: statistics.median(s.last_page() for _ in range(5))),
            row('ccloud cluster info, start to end', lambda s: quantile(s.ccloud, tries // 10, 0.5)),
        ]
        memory = Row('memory of a cluster', 'KiB',
                     lambda s: (programs.resident_kib(servers[s].process.pid) - servers[s].bare_kib) / len(servers[s].ids),
                     more_is_better=False, rounds=1)
        rows = [r for r in rows + [memory] if options.wants(r.what)]
        figures.take(rows, list(servers), options.rounds, note)
        text = figures.table('The Cloud API of a server with few clusters and of one with many', rows, list(servers), few_name)
        return text, figures.as_json(rows, few_name)
