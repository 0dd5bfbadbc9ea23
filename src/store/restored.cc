#include "store/restored.h"

#include "store/survey.h"

namespace keyhold::store {
namespace {

// Null where there is none that can be read.
StatusOr<std::unique_ptr<Register>> Former(const Context& context, int store) {
  auto former = Register::Open(context, store);
  if (!former.ok() && CauseOf(former.status()) != Cause::kCorrupt) return former;
  if (!former.ok() || (*former)->number() == 0) return nullptr;
  return former;
}

// A folder of the store in the place of its root was not put there by a restore.
Status CheckRoot(const Identity& root, const Register* former) {
  const bool named = former != nullptr && former->root() != FileId{};
  const bool fits = named ? former->root() == root.id : root.registered;
  return fits ? OkStatus()
              : Error(Cause::kCorrupt, "the store's root is not the one that it had: put its root back");
}

StatusOr<Restored> Accept(Tree& tree, Register* former, uint64_t above) {
  KEYHOLD_RETURN_IF_ERROR(CheckRoot(*tree.root()->directory, former));
  Surveyor surveyor(
      tree, Pass::kAccept, [](uint64_t, uint64_t) { return OkStatus(); }, nullptr, former);
  KEYHOLD_ASSIGN_OR_RETURN(const SurveyResult found, surveyor.Run());
  KEYHOLD_RETURN_IF_ERROR(tree.NextGeneration(above));
  KEYHOLD_RETURN_IF_ERROR(tree.Close());
  return Restored{former != nullptr, found.given_up, found.census, tree.generation()};
}

}  // namespace

StatusOr<Restored> AcceptRestored(const Context& context, int store, size_t open_descriptors,
                                  uint64_t above) {
  KEYHOLD_ASSIGN_OR_RETURN(const auto former, Former(context, store));
  KEYHOLD_ASSIGN_OR_RETURN(const auto tree, Tree::OpenAnew(context, store, open_descriptors));
  auto restored = Accept(*tree, former.get(), above);
  if (!restored.ok()) tree->Abandon();
  return restored;
}

}  // namespace keyhold::store
