// One pass over a whole store under traffic: what is there, under which data key, and, by its kind, verified
// or brought under the active one.
//
// It sees everything that was there when it began: what is moved or linked elsewhere meanwhile is looked at
// where it then stands, and so is what has no name any more but is still open. What is made meanwhile is
// under the key that is active when it begins, or a later one.
#pragma once

#include <functional>
#include <set>

#include "store/reencrypt.h"
#include "store/restored.h"
#include "store/tree.h"

namespace keyhold::store {

// kStock only counts sectors on the disk. kRewrite passes over files whose identity says that all of it is
// under the active key; kProve takes nobody's word, and rewrites what it still finds. kAccept verifies, and
// gives what authenticates its lines, all of them; kForget verifies, and drops the lines of what is not there
// where all that is there is sound.
enum class Pass { kStock, kCount, kVerify, kRewrite, kProve, kAccept, kForget };

struct SurveyResult {
  Census census;           // as it was found
  uint64_t sectors = 0;    // of files, on the disk
  uint64_t rewritten = 0;  // sectors, and names and attributes that were moved
  GivenUp given_up;        // of kAccept
};

class Surveyor {
 public:
  // Called between any two steps with the bytes moved and the sectors passed since; an error ends the pass
  // with it.
  using Pace = std::function<Status(uint64_t bytes, uint64_t sectors)>;

  // Files, by device and inode.
  using Files = std::set<std::pair<dev_t, ino_t>>;

  // `passed_over`: filled by kRewrite; kProve syncs those files, of which nobody in this process knows that
  // they are on the disk as they are read. `former`: what kAccept holds what it finds against; may be null.
  Surveyor(Tree& tree, Pass pass, Pace pace, Files* passed_over = nullptr, Register* former = nullptr)
      : tree_(tree), pass_(pass), pace_(std::move(pace)), passed_over_(passed_over), former_(former) {}

  StatusOr<SurveyResult> Run();

 private:
  bool Verifies() const { return pass_ == Pass::kVerify || pass_ == Pass::kAccept || pass_ == Pass::kForget; }
  bool Rewrites() const { return pass_ == Pass::kRewrite || pass_ == Pass::kProve; }
  Status RunWatched();
  Status VisitRegister();
  StatusOr<bool> TakeMoved(std::vector<Tree::Moved>* moved);
  void StopWatching();
  Status VisitMoved(const Tree::Moved& moved);
  Status VisitUnlinked();
  Status VisitEntry(int dir, const std::string& entry);
  Status Visit(Inode* inode, int dir, const std::string& entry);
  Status VisitDirectory(Inode* directory);
  StatusOr<std::vector<std::string>> EntriesOf(Inode* directory, int fd);
  Status VisitFile(Inode* inode);
  bool MayBeInCacheOnly(const Inode* inode) const;
  Status LookThrough(Inode* inode, File* file, int fd, bool* sound, bool* changed, Survey::MapCounters* maps);
  void CompareWithFormer(const Identity& found, const Survey::MapCounters& maps);
  Status SyncDirectory(int fd);
  Status AcceptDirectory(int fd, const Identity& found);
  Status AcceptFile(File* file, int fd, const Survey::MapCounters& maps);
  Status VisitLink(Inode* inode, int dir, const std::string& entry);
  Status CountAttributes(const Inode* inode, int fd);
  Status Judge(const Inode* inode, const Status& status);
  void Damaged(const Inode* inode, const std::string& why);

  Tree& tree_;
  const Pass pass_;
  const Pace pace_;
  SurveyResult result_;
  Files* const passed_over_;
  Register* const former_;
  Files visited_;          // and directories
  std::set<FileId> seen_;  // those whose identities are sound; where the pass verifies
};

}  // namespace keyhold::store
