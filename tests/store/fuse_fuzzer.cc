// Requests as the kernel may send them to a mount, in any order and with any sizes, offsets, flags and names:
// each is answered once, and nothing that was sealed turns out to be damaged. An input is a row of requests:
// what (1 byte), of which inode (1), two numbers (1 each), how many bytes follow (1), and these: names,
// targets, values, data.
#include "store/fuse_ops.h"

#include <linux/fuse.h>

#include "tests/base/temp_dir.h"
#include "tests/store/fuzz_keys.h"

namespace {

using namespace keyhold;         // NOLINT
using namespace keyhold::store;  // NOLINT

// Nothing is killed here.
class UnsyncedPosix final : public keyhold::testing::ForwardingPosix {
 public:
  int FSync(int) override { return 0; }
  int FDataSync(int) override { return 0; }
  int SyncFs(int) override { return 0; }
  ssize_t PWrite(int fd, const void* buffer, size_t size, off_t offset, int) override {
    return ForwardingPosix::PWrite(fd, buffer, size, offset, 0);
  }
};

// What the kernel knows: inodes by lookups that it has to give back, files and directories that are open. It
// asks of each only what fits its type.
struct Kernel {
  struct Known {
    uint64_t inode;
    mode_t type;
  };
  std::vector<Known> inodes = {{FUSE_ROOT_ID, S_IFDIR}};
  std::vector<std::pair<uint64_t, uint64_t>> files, directories;  // inode and handle
  std::string answer;                                             // the last one, behind its header
  int error = 0;
  int answers = 0;
};
Kernel* kernel;

ssize_t TakeAnswer(int, iovec* pieces, int count, void*) {
  std::string all;
  for (int i = 0; i < count; ++i) all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
  const auto* head = reinterpret_cast<const fuse_out_header*>(all.data());
  if (head->len != all.size()) __builtin_trap();
  if (head->unique == 0) return static_cast<ssize_t>(all.size());  // a notification
  if (head->error > 0 || head->error < -511) __builtin_trap();
  kernel->error = head->error;
  kernel->answer = all.substr(sizeof *head);
  ++kernel->answers;
  return static_cast<ssize_t>(all.size());
}
ssize_t NoRequest(int, void*, size_t, void*) { return 0; }

class Mounted {
 public:
  Mounted() {
    kernel = &kernel_;
    char words[][32] = {"fuzz", "-o", "max_read=1048576"};
    char* arguments[] = {words[0], words[1], words[2], nullptr};
    fuse_args args = FUSE_ARGS_INIT(3, arguments);
    const fuse_lowlevel_ops operations = FuseOperations(options_);
    state_.session = session_ = fuse_session_new(&args, &operations, sizeof operations, &state_);
    fuse_opt_free_args(&args);
    const fuse_custom_io io{TakeAnswer, NoRequest, nullptr, nullptr};
    if (fuse_session_custom_io(session_, &io, dup(store_.fd())) != 0) __builtin_trap();
    fuse_init_in init{};
    init.major = FUSE_KERNEL_VERSION;
    init.minor = 31;
    Send(FUSE_INIT, 0, Bytes(init));
  }
  ~Mounted() {
    // As the kernel does when it lets go of a mount.
    for (const auto& [inode, handle] : kernel_.files) Close(FUSE_RELEASE, inode, handle);
    for (const auto& [inode, handle] : kernel_.directories) Close(FUSE_RELEASEDIR, inode, handle);
    if (tree_->corrupt_count() != 0) __builtin_trap();
    fuse_session_destroy(session_);
  }

  struct Request {
    uint8_t what, inode, a, b;
    std::string data;
  };
  void Do(const Request& request);

 private:
  void InDirectory(const Request& request, const std::string& name);
  void OfFile(const Request& request, uint64_t offset);
  void OfAny(const Request& request, const std::string& name, uint64_t offset);

  template <typename T>
  static std::string Bytes(const T& value) {
    return {reinterpret_cast<const char*>(&value), sizeof value};
  }

  void Send(uint32_t opcode, uint64_t inode, const std::string& body) {
    fuse_in_header head{};
    head.len = static_cast<uint32_t>(sizeof head + body.size());
    head.opcode = opcode;
    head.unique = 7;
    head.nodeid = inode;
    std::vector<uint64_t> memory((head.len + 7) / 8);
    std::memcpy(memory.data(), &head, sizeof head);
    std::memcpy(reinterpret_cast<char*>(memory.data()) + sizeof head, body.data(), body.size());
    fuse_buf buffer{};
    buffer.size = head.len;
    buffer.mem = memory.data();
    const int before = kernel_.answers;
    fuse_session_process_buf(session_, &buffer);
    if (kernel_.answers != before + (opcode == FUSE_FORGET ? 0 : 1)) __builtin_trap();
  }

  void Close(uint32_t opcode, uint64_t inode, uint64_t handle) {
    fuse_release_in in{};
    in.fh = handle;
    Send(opcode, inode, Bytes(in));
  }

  // One of those of `types`; 0 where there is none.
  uint64_t Pick(uint8_t index, std::initializer_list<mode_t> types) const {
    std::vector<uint64_t> fit;
    for (const auto& known : kernel_.inodes) {
      if (std::find(types.begin(), types.end(), known.type) != types.end()) fit.push_back(known.inode);
    }
    return fit.empty() ? 0 : fit[index % fit.size()];
  }

  // An answer that gives an inode counts as a lookup of it.
  void Learn() {
    fuse_entry_out entry;
    if (kernel_.error != 0 || kernel_.answer.size() < sizeof entry) return;
    std::memcpy(&entry, kernel_.answer.data(), sizeof entry);
    if (entry.nodeid != 0) kernel_.inodes.push_back({entry.nodeid, entry.attr.mode & S_IFMT});
  }
  void Entry(uint32_t opcode, uint64_t inode, const std::string& body) {
    Send(opcode, inode, body);
    Learn();
  }
  void Open(uint32_t opcode, uint64_t inode, uint32_t flags);
  void Create(uint64_t parent, const std::string& name, uint32_t mode, uint32_t flags);
  void Forget(uint8_t index);
  void Transfer(const Request& request, uint64_t inode, uint64_t offset);
  void List(const Request& request);
  void Attribute(const Request& request, uint64_t inode, const std::string& name);

  keyhold::testing::FuzzKeys keys_;
  keyhold::testing::FixedRandom random_;
  keyhold::testing::FakeClock clock_;
  WriteCounter counter_{clock_};
  UnsyncedPosix posix_;
  const keyhold::testing::TempDir store_{"/var/tmp"};  // not on tmpfs: older kernels have no attributes there
  Kernel kernel_;
  const MountOptions options_{.mountpoint = "/"};
  const std::unique_ptr<Tree> tree_ = *Tree::Open({posix_, random_, keys_, counter_}, store_.fd(), 64);
  FuseState state_{*tree_, options_, [] {}, [](const std::function<void()>& work) { work(); }};
  fuse_session* session_ = nullptr;
};

void Mounted::Open(uint32_t opcode, uint64_t inode, uint32_t flags) {
  fuse_open_in in{};
  in.flags = flags;
  Send(opcode, inode, Bytes(in));
  if (kernel_.error != 0) return;
  fuse_open_out out;
  std::memcpy(&out, kernel_.answer.data(), sizeof out);
  (opcode == FUSE_OPEN ? kernel_.files : kernel_.directories).emplace_back(inode, out.fh);
}

void Mounted::Create(uint64_t parent, const std::string& name, uint32_t mode, uint32_t flags) {
  fuse_create_in in{};
  in.mode = S_IFREG | (mode & 0777);
  in.flags = flags;
  Entry(FUSE_CREATE, parent, Bytes(in) + name);
  if (kernel_.error != 0) return;
  fuse_open_out out;
  std::memcpy(&out, kernel_.answer.data() + sizeof(fuse_entry_out), sizeof out);
  kernel_.files.emplace_back(kernel_.inodes.back().inode, out.fh);
}

// Only of what is not open: the kernel holds on to that.
void Mounted::Forget(uint8_t index) {
  const size_t at = index % kernel_.inodes.size();
  const uint64_t inode = kernel_.inodes[at].inode;
  const auto is_it = [&](const auto& open) { return open.first == inode; };
  if (at == 0 || std::any_of(kernel_.files.begin(), kernel_.files.end(), is_it) ||
      std::any_of(kernel_.directories.begin(), kernel_.directories.end(), is_it)) {
    return;
  }
  kernel_.inodes.erase(kernel_.inodes.begin() + static_cast<ptrdiff_t>(at));
  Send(FUSE_FORGET, inode, Bytes(fuse_forget_in{1}));
}

void Mounted::Transfer(const Request& request, uint64_t inode, uint64_t offset) {
  const uint64_t fh = 0;
  if (request.what % 6 == 4) {
    fuse_read_in in{};
    in.fh = fh;
    in.offset = offset;
    in.size = request.b * 257U;
    Send(FUSE_READ, inode, Bytes(in));
    if (kernel_.error == 0 && kernel_.answer.size() > in.size) __builtin_trap();
    return;
  }
  std::string data;
  for (unsigned i = 0; i <= request.b % 128U; ++i) data += request.data;
  fuse_write_in in{};
  in.fh = fh;
  in.offset = offset;
  in.size = static_cast<uint32_t>(data.size());
  in.flags = request.b > 128 ? O_DSYNC : 0;
  Send(FUSE_WRITE, inode, Bytes(in) + data);
}

void Mounted::List(const Request& request) {
  if (kernel_.directories.empty()) return;
  const auto& [inode, handle] = kernel_.directories[request.inode % kernel_.directories.size()];
  fuse_read_in in{};
  in.fh = handle;
  in.offset = request.a;
  in.size = request.b * 64U;
  Send(FUSE_READDIR, inode, Bytes(in));
}

void Mounted::Attribute(const Request& request, uint64_t inode, const std::string& name) {
  const std::string user = "user." + name;
  if (request.data.size() % 3 == 0) {
    Send(FUSE_GETXATTR, inode, Bytes(fuse_getxattr_in{request.b * 16U, 0}) + user);
  } else if (request.data.size() % 3 == 1) {
    struct {
      uint32_t size, flags;
    } in{request.a, request.b % 3U};  // the form of version 7.31
    Send(FUSE_SETXATTR, inode, Bytes(in) + user + std::string(request.a, 'v'));
  } else {
    Send(FUSE_REMOVEXATTR, inode, user);
  }
}

void Mounted::InDirectory(const Request& request, const std::string& name) {
  const uint64_t parent = Pick(request.inode, {S_IFDIR});
  switch (request.what % 9) {
    case 0:
      return Entry(FUSE_LOOKUP, parent, name);
    case 1:
      return Create(parent, name, 0600U + request.a % 0200, O_RDWR | (request.b > 128 ? O_DSYNC : 0));
    case 2: {
      fuse_mkdir_in in{};
      in.mode = request.a;
      return Entry(FUSE_MKDIR, parent, Bytes(in) + name);
    }
    case 3: {
      fuse_mknod_in in{};
      in.mode = (request.a % 2 == 0 ? S_IFIFO : S_IFREG) | 0600;
      return Entry(FUSE_MKNOD, parent, Bytes(in) + name);
    }
    case 4:
      return Entry(FUSE_SYMLINK, parent, name + std::string(request.a, 't') + '\0');
    case 5:
      if (const uint64_t file = Pick(request.a, {S_IFREG, S_IFIFO, S_IFLNK})) {
        Entry(FUSE_LINK, parent, Bytes(fuse_link_in{file}) + name);
      }
      return;
    case 6:
      return Send(FUSE_UNLINK, parent, name);
    case 7:
      return Send(FUSE_RMDIR, parent, name);
    default: {
      fuse_rename2_in in{};
      in.newdir = Pick(request.a, {S_IFDIR});
      in.flags = request.b;
      return Send(FUSE_RENAME2, parent, Bytes(in) + name + name[0] + name.substr(0, 9) + '\0');
    }
  }
}

void Mounted::OfFile(const Request& request, uint64_t offset) {
  const uint64_t inode = Pick(request.inode, {S_IFREG});
  if (inode == 0) return;
  switch (request.what % 6) {
    case 0:
      return Open(FUSE_OPEN, inode, O_RDWR | (request.a % 2 == 0 ? 0 : O_TRUNC));
    case 1: {
      fuse_fallocate_in in{};
      in.offset = offset;
      in.length = request.data.size() * 1000;
      in.mode = request.a % 64;
      return Send(FUSE_FALLOCATE, inode, Bytes(in));
    }
    case 2: {
      fuse_lseek_in in{};
      in.offset = offset;
      in.whence = request.a % 2 == 0 ? SEEK_DATA : SEEK_HOLE;
      return Send(FUSE_LSEEK, inode, Bytes(in));
    }
    case 3: {
      fuse_setattr_in in{};
      in.valid = FATTR_SIZE;
      in.size = offset;
      return Send(FUSE_SETATTR, inode, Bytes(in));
    }
    default:
      return Transfer(request, inode, offset);
  }
}

void Mounted::OfAny(const Request& request, const std::string& name, uint64_t offset) {
  const uint64_t inode = Pick(request.inode, {S_IFREG, S_IFDIR, S_IFLNK, S_IFIFO});
  const uint64_t directory = Pick(request.inode, {S_IFDIR});
  switch (request.what % 9) {
    case 0:
      return Open(FUSE_OPENDIR, directory, 0);
    case 1:
      return Send(FUSE_FSYNCDIR, directory, Bytes(fuse_fsync_in{0, request.b % 2U, 0}));
    case 2:
      if (const uint64_t link = Pick(request.inode, {S_IFLNK})) Send(FUSE_READLINK, link, "");
      return;
    case 3:
      return List(request);
    case 4:
      return Attribute(request, Pick(request.inode, {S_IFREG, S_IFDIR}), name);
    case 5:
      return Send(FUSE_LISTXATTR, Pick(request.inode, {S_IFREG, S_IFDIR}),
                  Bytes(fuse_getxattr_in{request.a * 16U, 0}));
    case 6:
      return Forget(request.inode);
    case 7:
      request.a % 2 == 0 ? tree_->SealAll() : tree_->SealSome(absl::ZeroDuration());
      return Send(FUSE_STATFS, inode, "");
    default: {
      fuse_setattr_in in{};
      in.valid = request.b & ~static_cast<uint32_t>(FATTR_FH | FATTR_SIZE);
      in.mtime = in.atime = offset;
      in.mode = request.a;
      return Send(FUSE_SETATTR, inode, Bytes(in));
    }
  }
}

void Mounted::Do(const Request& request) {
  // A name is never empty, has no slash, and ends with a zero.
  std::string name = request.data.substr(0, request.data.find('\0'));
  std::replace(name.begin(), name.end(), '/', '_');
  if (name.empty() || name == "." || name == "..") name = "n";
  name.push_back('\0');
  const uint64_t offset = uint64_t{request.a} << (request.b % 33);
  if (request.what < 90) return InDirectory(request, name);
  if (request.what < 180) return OfFile(request, offset);
  OfAny(request, name, offset);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Mounted mounted;
  for (int steps = 0; size >= 5 && steps < 64; ++steps) {
    const size_t length = std::min<size_t>(data[4], size - 5);
    mounted.Do({data[0], data[1], data[2], data[3], {reinterpret_cast<const char*>(data) + 5, length}});
    data += 5 + length;
    size -= 5 + length;
  }
  return 0;
}
