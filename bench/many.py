"""Part many: a store of many files, from its mount to its unmount."""
import subprocess
import time

import figures
import programs

SIZES = (1000, 100_000, 1_000_000)
FIGURES = {'mount_s': 'mount s', 'mount_after_kill_s': 'after a kill s', 'one_file_s': 'one file s', 'all_files_s': 'all files s',
           'mib_mounted': 'MiB mounted', 'mib_all_known': 'MiB, all known', 'umount_s': 'umount s'}


def timed(work):
    """The seconds it took, and what it gave."""
    start = time.monotonic()
    result = work()
    return time.monotonic() - start, result


class Mounted:
    def __init__(self, place, below, above):
        self.above = above
        self.process = place.start(programs.BIN / 'store_mount_helper', below, above, stdout=subprocess.PIPE, text=True)
        place.callback(subprocess.run, ['umount', '-l', above], capture_output=True)  # where it was not ended
        self.took, said = timed(self.process.stdout.readline)
        if said != 'ready\n':
            raise programs.Failed(f'the store does not mount at {above}')

    def mib(self):
        return programs.resident_kib(self.process.pid) / 1024

    def walk(self):
        """Asks for every file's attributes, as a backup does; how many there are."""
        return len(programs.run('find', self.above, '-type', 'f', '-size', '+0c', '-printf', '.'))

    def kill(self):
        self.process.kill()
        self.process.wait()
        programs.run('umount', '-l', self.above)

    def end(self):
        programs.run('umount', self.above)
        self.process.wait()


def figures_of(place, files, note):
    below, above = place.directory(f'{files}-below'), place.directory(f'{files}-mount')
    note(f'{files:,} files are made')
    programs.run(programs.BIN / 'store_fill', below, files)
    first = Mounted(place, below, above)
    (above / 'new').write_text('not yet in the register\n')
    first.kill()
    killed = Mounted(place, below, above)
    killed.end()
    mounted = Mounted(place, below, above)
    told = {'mount_s': mounted.took, 'mount_after_kill_s': killed.took, 'mib_mounted': mounted.mib()}
    told['one_file_s'], _ = timed((above / '0' / '0').read_bytes)
    note('every file is looked at')
    told['all_files_s'], found = timed(mounted.walk)
    if found != files + 1:
        raise programs.Failed(f'{found} files of {files + 1} are there')
    told['mib_all_known'] = mounted.mib()
    told['umount_s'], _ = timed(mounted.end)
    return told


def measure(options, note):
    lines, document = [['files', *FIGURES.values()]], []
    for files in (100,) if options.quick else SIZES:
        with programs.Place() as place:
            told = figures_of(place, files, note)
        lines.append([f'{files:,}', *(figures.number(told[name]) for name in FIGURES)])
        note('; '.join(f'{name} {cell}' for name, cell in zip(lines[0], lines[-1])))
        document.append({'what': f'{files} files', 'subjects': {'Keyhold': {'median': told['mount_s'], **told}}})
    return figures.listing('A store of many files (at most 1 s for the mount of a million)', lines[0], lines[1:]), document
