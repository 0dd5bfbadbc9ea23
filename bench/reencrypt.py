"""Part reencrypt: what re-encryption costs those who use the cluster meanwhile."""
import figures
import hosts
import programs
from figures import Row

REST, MIDST = 'at rest', 're-encrypting'
UNDER_WAY = ('COUNTING', 'REWRITING', 'PROVING')
EVERY = 0.15  # seconds between two questions to the API


class Renewed:
    """One cluster, whose re-encryption is begun and awaited."""

    def __init__(self, harness, scale):
        self.key = harness.Key()
        self.cluster = harness.Cluster('renewed')
        self.cluster.update(self.key)
        self.path = f"/api/v1/clusters/{self.cluster.info()['id']}/cmek"
        self.api = hosts.Api(harness.host)
        self.target = hosts.through_gateway(self.cluster)
        self.target.load(scale)

    def now(self):
        return self.api.call('GET', self.path)['region_infos'][0].get('reencryption', {})

    def settle(self):
        programs.until('everything is re-encrypted', 900, lambda: self.now().get('state') == 'DONE', every=EVERY)

    def begin(self):
        """The same key once more: a new data key, and all goes over to it."""
        before = self.now()
        if before.get('state') in UNDER_WAY:
            return
        self.cluster.update(self.key)
        # A short one may have ended before it was seen.
        programs.until('re-encryption is under way', 60,
                       lambda: (now := self.now()).get('state') in UNDER_WAY or now.get('proof') != before.get('proof'), every=EVERY)

    def pgbench(self, subject, seconds, *more):
        if subject == REST:
            self.settle()
            return self.target.pgbench(seconds, *more)
        self.begin()
        tps = self.target.pgbench(seconds, *more)
        if seconds and self.now().get('state') not in UNDER_WAY:
            raise programs.Failed('re-encryption ended before pgbench did; its figure is none')
        return tps


def measure(options, note):
    with programs.Place() as place:
        renewed = Renewed(hosts.start(place), 1 if options.quick else 20)
        rows = [Row(f'pgbench {what}', 'tps', lambda s, more=more: renewed.pgbench(s, options.seconds, *more), '>= 0.90')
                for what, more in (('TPC-B', ()), ('-N', ('-N',)), ('-S, 8 clients', ('-S',)))]
        rows = [row for row in rows if options.wants(row.what)][:1 if options.quick else None]
        figures.take(rows, [REST, MIDST], options.rounds, note)
        renewed.settle()
        proof = renewed.now()['proof']
        text = figures.table('A cluster, and the same one while its data goes over to a new data key', rows, [REST, MIDST], REST)
        return text + [f"The last scan read {proof['blocks']:,} blocks of {proof['files']:,} files."], figures.as_json(rows, REST)
