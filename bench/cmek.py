"""Part cmek: how long after the customer's act the cluster follows, in seconds; a lane for each cloud, side by side."""
import concurrent.futures
import importlib
import itertools
import json
import random
import statistics
import threading
import time

import figures
import hosts
import programs

PROBE_INTERVAL = 2
LIMITS = {'lock': '<= 5', 'return': '<= 5 and a start', 'enable': '< 1', 'rotate': '< 1'}
# MiB of data, clusters that are filled with them and enabled once each, rotations of each.
SIZES = ((10, 10, 2), (1024, 3, 7), (10240, 1, 20))


def quantiles(samples):
    ordered = sorted(samples)
    at = lambda q: ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]
    return {'median': statistics.median(ordered), 'p90': at(0.9), 'p99': at(0.99), 'max': ordered[-1]}


class Lane:
    """One cloud: its clusters, and its customer's keys, which are disabled by curl: the vendors' programs take a second to start."""

    def __init__(self, harness, cloud):
        customer = importlib.import_module('customer')
        self.harness, self.cloud = harness, cloud
        self.api = hosts.Api(harness.host, keys=4)
        self.named = itertools.count()
        if cloud == 'AWS':
            self.region, make = 'us-east-1', lambda name: customer.AwsKey()
        elif cloud == 'GCP':
            self.region, make = 'us-east1', customer.GcpKey
        else:
            vault = customer.Vault()
            vault.grant()
            self.region, make = 'eastus', lambda name: customer.VaultKey(vault, name)
        self.new_key = lambda: make(f'cmek-{next(self.named)}')

    def cluster(self):
        return Watched(self)


class Watched:
    """One cluster, asked by a session that stays and by new ones."""

    def __init__(self, lane):
        import psycopg2
        self.psycopg2, self.lane = psycopg2, lane
        self.cluster = lane.harness.Cluster(f'{lane.cloud.lower()}-{next(lane.named)}', cloud=lane.cloud, region=lane.region)
        self.path = f"/api/v1/clusters/{self.cluster.info()['id']}/cmek"
        self.key = None

    def connect(self):
        return self.psycopg2.connect(self.cluster.url, connect_timeout=5)

    def serves(self):
        try:
            session = self.connect()
        except self.psycopg2.Error:
            return False
        session.close()
        return True

    def until_serving(self):
        programs.until('the cluster serves', 60, self.serves)

    def until_locked(self):
        """Until the open session has ended and a new one is refused."""
        session = self.connect()
        session.autocommit = True
        # At any instant between two probes: without this it would be as long after the opening each time.
        time.sleep(random.uniform(0, PROBE_INTERVAL))
        self.key.enable(False)
        start = time.monotonic()
        try:
            while time.monotonic() - start < 60:
                session.cursor().execute('SELECT 1')
                time.sleep(0.005)
            raise programs.Failed('the session goes on a minute after its key was disabled')
        except self.psycopg2.Error:
            session.close()
        programs.until('new sessions are refused', 60, lambda: not self.serves())
        return time.monotonic() - start

    def until_back(self):
        self.key.enable(True)
        start = time.monotonic()
        self.until_serving()
        return time.monotonic() - start

    def in_force(self, key):
        now = self.lane.api.call('GET', self.path)
        newest = now['region_infos'][0]['key_infos'][0]
        return (now['status'], newest['status'], newest['spec']['uri']) == ('ENABLED', 'ENABLED', key.uri)

    def until_in_force(self, key):
        programs.until(f'{key.uri} is in force', 60, lambda: self.in_force(key), every=0.03)

    def change(self, method, key):
        """From the request to the status ENABLED under `key`."""
        start = time.monotonic()
        self.lane.api.call(method, self.path, {'region_specs': [{'region': self.lane.region, 'key_spec': json.loads(key.spec())}]})
        self.until_in_force(key)
        self.key = key
        return time.monotonic() - start

    def enable(self, key):
        return self.change('POST', key)

    def rotate(self, key):
        return self.change('PUT', key)

    def fill(self, mib):
        self.cluster.sql('CREATE UNLOGGED TABLE filled AS SELECT g, repeat(md5(g::text), 32) AS v FROM generate_series(1, '
                         f'{mib * 1024 * 1024 // 1060}) g', timeout=1800)


def lifecycle(lane, tries, failed, note):
    """A cluster is enabled once; so each try has a cluster of its own. Two keys are in force by turns."""
    samples = {'enable': [], 'lock': [], 'return': [], 'rotate': []}
    key, spare = lane.new_key(), lane.new_key()
    for turn in range(1, tries + 1):
        if failed.is_set():
            break
        watched = lane.cluster()
        watched.until_serving()
        samples['enable'].append(watched.enable(key))
        samples['lock'].append(watched.until_locked())
        samples['return'].append(watched.until_back())
        watched.until_in_force(key)  # the server is told a moment after
        samples['rotate'].append(watched.rotate(spare))
        key, spare = spare, key
        watched.cluster.delete()
        note(f'{lane.cloud} {turn}: ' + ', '.join(f'{what} {times[-1]:.2f} s' for what, times in samples.items()))
    return {f'{lane.cloud}: {what}': times for what, times in samples.items()}


def side_by_side(lanes, tries, note):
    """When one lane fails, the others end too."""
    failed = threading.Event()

    def run(lane):
        try:
            return lifecycle(lane, tries, failed, note)
        except Exception as error:
            failed.set()
            raise programs.Failed(f'{lane.cloud}: {error}') from error

    with concurrent.futures.ThreadPoolExecutor() as pool:
        return {what: times for found in pool.map(run, lanes) for what, times in found.items()}


def sized(lane, mib, clusters, rotations, note):
    enables, rotates = [], []
    for _ in range(clusters):
        watched = lane.cluster()
        watched.fill(mib)
        enables.append(watched.enable(lane.new_key()))
        rotates += [watched.rotate(lane.new_key()) for _ in range(rotations)]
        watched.cluster.delete()
    note(f'{mib} MiB: enable {enables}, rotate {rotates}')
    return {f'enable, {mib:,} MiB of data': enables, f'rotate, {mib:,} MiB of data': rotates}


def measure(options, note):
    with programs.Place() as place:
        harness = hosts.start(place)
        lanes = [lane for lane in (Lane(harness, cloud) for cloud in ('AWS', 'GCP', 'AZURE')) if options.wants(lane.cloud)]
        samples = side_by_side(lanes, options.tries, note)
        for size in () if options.quick else SIZES:
            if options.wants(f'{size[0]:,} MiB'):
                samples.update(sized(Lane(harness, 'AWS'), *size, note))
        limit = lambda what: next(text for act, text in LIMITS.items() if act in what)
        lines = [[what, str(len(times))] + [f'{value:.2f}' for value in quantiles(times).values()] + [limit(what)]
                 for what, times in samples.items()]
        text = figures.listing(f"Seconds from the customer's act until the cluster has followed, at --probe-interval {PROBE_INTERVAL}s",
                               ['', 'tries', 'p50', 'p90', 'p99', 'max', 'at most'], lines)
        return text, [{'what': what, 'unit': 's', 'subjects': {'Keyhold': dict(quantiles(times), samples=times)}}
                      for what, times in samples.items()]
