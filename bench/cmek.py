"""Part cmek: how long after the customer's act the cluster follows, in seconds."""
import statistics
import time

import figures
import hosts
import programs


def quantiles(samples):
    ordered = sorted(samples)
    at = lambda q: ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))]
    return [statistics.median(ordered), at(0.99), ordered[-1]]


class Watched:
    """One cluster, asked by a session that stays and by new ones."""

    def __init__(self, harness, place, name):
        import psycopg2
        self.psycopg2, self.host = psycopg2, harness.host
        self.key = harness.Key()
        self.cluster = harness.Cluster(name)
        self.id = self.cluster.info()['id']
        self.api = hosts.Api(harness.host)
        self.kms = hosts.Kms(harness.host, place.path / f'{name}.curl')

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
        start = self.kms.call('DisableKey', self.key)
        try:
            while time.monotonic() - start < 60:
                session.cursor().execute('SELECT 1')
                time.sleep(0.005)
            raise programs.Failed('the session goes on a minute after its key was disabled')
        except self.psycopg2.Error:
            session.close()
        programs.until('new sessions are refused', 60, lambda: not self.serves())
        return max(time.monotonic() - start, 0)

    def until_back(self):
        start = self.kms.call('EnableKey', self.key)
        self.until_serving()
        return time.monotonic() - start

    def change(self, method, key, already):
        """From the request to the status ENABLED under `key`."""
        start = time.monotonic()
        self.api.call(method, f'/api/v1/clusters/{self.id}/cmek',
                      {'region_specs': [{'region': key.region, 'key_spec': {'type': 'AWS_KMS', 'uri': key.arn, 'auth_principal':
                                         self.host.env['KEYHOLD_AWS_PRINCIPAL_ARN']}}]})
        programs.until(f'CMEK is {already}', 60,
                       lambda: self.api.call('GET', f'/api/v1/clusters/{self.id}/cmek')['status'] == already, every=0.03)
        return time.monotonic() - start

    def enable(self):
        return self.change('POST', self.key, 'ENABLED')

    def rotate(self, key):
        return self.change('PUT', key, 'ENABLED')

    def fill(self, mib):
        self.cluster.sql('CREATE TABLE filled AS SELECT g, repeat(md5(g::text), 32) AS v FROM generate_series(1, '
                         f'{mib * 1024 * 1024 // 1060}) g')


# A node that is opened more often than that within minutes waits longer and longer before the next time
# (src/node/reopening.h); what is measured here is a key that comes and goes now and then.
TRIES_OF_A_CLUSTER = 3


def lifecycle(harness, place, tries, note):
    """A cluster is enabled once, and has its key taken away and given back a few times; then comes the next cluster."""
    samples = {'enable': [], 'lock': [], 'return': [], 'rotate': []}
    for first in range(0, tries, TRIES_OF_A_CLUSTER):
        watched = Watched(harness, place, f'life{first}')
        samples['enable'].append(watched.enable())
        spare = harness.Key()
        for _ in range(min(TRIES_OF_A_CLUSTER, tries - first)):
            watched.until_serving()
            samples['lock'].append(watched.until_locked())
            samples['return'].append(watched.until_back())
            watched.key, spare = spare, watched.key
            samples['rotate'].append(watched.rotate(watched.key))
        watched.cluster.delete()
        note(', '.join(f'{what} {times[-1]:.2f} s' for what, times in samples.items()))
    return samples


def sized(harness, place, mib, note):
    watched = Watched(harness, place, f'size{mib}')
    watched.fill(mib)
    times = {f'enable, {mib} MiB of data': [watched.enable()], f'rotate, {mib} MiB of data': []}
    for _ in range(3):
        times[f'rotate, {mib} MiB of data'].append(watched.rotate(harness.Key()))
    watched.cluster.delete()
    note(f'{mib} MiB: ' + str(times))
    return times


def measure(options, note):
    with programs.Place() as place:
        harness = hosts.start(place)
        samples = lifecycle(harness, place, options.tries, note)
        for mib in () if options.quick else (10, 1024):
            samples.update(sized(harness, place, mib, note))
        limits = {'lock': '<= 5', 'return': '<= 5 and a start', 'enable': '< 1', 'rotate': '< 1'}
        lines = [[what, str(len(times))] + [f'{value:.2f}' for value in quantiles(times)] + [limits.get(what.split(',')[0], '')]
                 for what, times in samples.items()]
        text = figures.listing('Seconds from the customer\'s act until the cluster has followed, at --probe-interval 2s',
                               ['', 'tries', 'p50', 'p99', 'max', 'at most'], lines)
        return text, [{'what': what, 'unit': 's', 'subjects': {'Keyhold': dict(zip(('median', 'p99', 'max'), quantiles(times)), samples=times)}}
                      for what, times in samples.items()]
