#include "gateway/conversation.h"

#include <algorithm>
#include <array>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace keyhold::gateway {
namespace {

constexpr uint32_t kAuthOk = 0;
constexpr uint32_t kAuthSasl = 10;
constexpr uint32_t kMaxCollectedLength = 1 << 20;  // of errors and parameter reports

// Encodings in which a byte of a character may look like an ASCII one, or is not one character
// (chapter 24.3): statements in them are relayed as they are.
constexpr std::array<std::string_view, 13> kForeignEncodings = {
    "BIG5", "EUC_CN", "EUC_JIS_2004",  "EUC_JP", "EUC_KR",         "EUC_TW", "GB18030",
    "GBK",  "JOHAB",  "MULE_INTERNAL", "SJIS",   "SHIFT_JIS_2004", "UHC"};

}  // namespace

struct Conversation::State {
  ConversationOptions options;
  bool authenticated = false;
  bool started = false;
  bool terminated = false;
  bool foreign_encoding = false;
  TextRules rules;
  StatementEdits edits;
  uint64_t rewritten = 0;
};

class Conversation::FromClient : public MessageStream {
 public:
  explicit FromClient(State& state) : state_(state) {}

 protected:
  Verdict Decide(char type, uint32_t length) override {
    if (!state_.authenticated) return Unauthenticated(type, length);
    switch (type) {
      case 'Q':
      case 'P':
        return Statement(type, length);
      case 'S':
      case 'F':
        state_.edits.SentSync();
        return Verdict::kRelay;
      case 'c':
      case 'f':
        state_.edits.EndedCopy();
        return Verdict::kRelay;
      case 'X':
        state_.terminated = true;
        return Verdict::kRelay;
      case 'B':
      case 'C':
      case 'D':
      case 'E':
      case 'H':
      case 'd':
        return Verdict::kRelay;
      default:
        return Verdict::kRefuse;
    }
  }

  void Collected(char type, std::string_view message, Outgoing& out) override {
    const size_t text_at = TextAt(type, message);
    const size_t end = message.find('\0', text_at);
    std::optional<Rewritten> rewritten;
    if (end != std::string_view::npos) rewritten = TryRewrite(message.substr(text_at, end - text_at));
    if (!rewritten) {
      Sent(type, {});
      PassOn(message, out);
      return;
    }
    ++state_.rewritten;
    out.Own(Message(type, absl::StrCat(std::string(message.substr(kHeaderSize, text_at - kHeaderSize)),
                                       rewritten->sql, std::string(message.substr(end)))));
    Sent(type, std::move(rewritten->edits));
  }

 private:
  Verdict Unauthenticated(char type, uint32_t length) {
    if (type == 'X') state_.terminated = true;
    return (type == 'p' && length <= kMaxAuthLength) || type == 'X' ? Verdict::kRelay : Verdict::kRefuse;
  }

  Verdict Statement(char type, uint32_t length) {
    if (!state_.foreign_encoding && length <= state_.options.max_rewrite_bytes) return Verdict::kCollect;
    Sent(type, {});
    return Verdict::kRelay;
  }

  // Parse has the statement's name before its text.
  static size_t TextAt(char type, std::string_view message) {
    if (type == 'Q') return kHeaderSize;
    const size_t name_end = message.find('\0', kHeaderSize);
    return name_end == std::string_view::npos ? message.size() : name_end + 1;
  }

  std::optional<Rewritten> TryRewrite(std::string_view sql) const {
    if (!MayNeedRewrite(sql)) return std::nullopt;
    return Rewrite(sql, *state_.options.settings, state_.rules);
  }

  void Sent(char type, std::vector<Edit> edits) {
    if (type == 'Q') {
      state_.edits.SentQuery(std::move(edits));
    } else {
      state_.edits.SentParse(std::move(edits));
    }
  }

  State& state_;
};

class Conversation::FromServer : public MessageStream {
 public:
  explicit FromServer(State& state) : state_(state) {}

 protected:
  Verdict Decide(char type, uint32_t length) override {
    switch (type) {
      case 'R':
      case 'K':
      case 'S':
        return length <= kMaxCollectedLength ? Verdict::kCollect : Verdict::kRelay;
      case 'E':
        state_.edits.Failed();
        return Reported(length);
      case 'N':
        return Reported(length);
      case '1':
        state_.edits.ParseCompleted();
        return Verdict::kRelay;
      case 'G':
        state_.edits.CopyInStarted();
        return Verdict::kRelay;
      case 'Z':
        Ready();
        return Verdict::kRelay;
      default:
        return Verdict::kRelay;
    }
  }

  void Collected(char type, std::string_view message, Outgoing& out) override {
    const std::string_view body = message.substr(kHeaderSize);
    if (type == 'R' && body.size() >= 4) return Authentication(body, message, out);
    if (type == 'K' && body.size() == 8) {
      const uint32_t secret = state_.options.swap_key(ReadU32(body), ReadU32(body.substr(4)));
      return out.Own(Message('K', absl::StrCat(std::string(body.substr(0, 4)), U32(secret))));
    }
    if (type == 'S') Parameter(body);
    if (type == 'E' || type == 'N') return Report(type, body, message, out);
    PassOn(message, out);
  }

 private:
  Verdict Reported(uint32_t length) const {
    return length <= kMaxCollectedLength && state_.edits.any() ? Verdict::kCollect : Verdict::kRelay;
  }

  // The first one answers the startup message, not a unit.
  void Ready() {
    if (state_.started) state_.edits.ReadyForQuery();
    state_.started = true;
  }

  void Authentication(std::string_view body, std::string_view message, Outgoing& out) {
    const uint32_t kind = ReadU32(body);
    if (kind == kAuthOk) state_.authenticated = true;
    if (kind != kAuthSasl) return PassOn(message, out);
    out.Own(Message('R', WithoutChannelBinding(body)));
  }

  void Parameter(std::string_view body) {
    const size_t name_end = body.find('\0');
    if (name_end == std::string_view::npos) return;
    const std::string_view name = body.substr(0, name_end);
    const std::string_view rest = body.substr(name_end + 1);
    const std::string_view value = rest.substr(0, rest.find('\0'));
    if (name == "standard_conforming_strings") state_.rules.standard_strings = value == "on";
    if (name == "client_encoding") {
      state_.rules.utf8 = value == "UTF8";
      state_.foreign_encoding =
          std::find(kForeignEncodings.begin(), kForeignEncodings.end(), value) != kForeignEncodings.end();
    }
  }

  void Report(char type, std::string_view body, std::string_view message, Outgoing& out) {
    const std::vector<Edit>* edits = state_.edits.Current();
    const std::string_view field = ErrorField(body, 'P');
    uint64_t position = 0;
    const bool moved = edits != nullptr && absl::SimpleAtoi({field.data(), field.size()}, &position);
    if (!moved) return PassOn(message, out);
    out.Own(Message(type, WithPosition(body, OldPosition(*edits, position))));
  }

  State& state_;
};

Conversation::Conversation(ConversationOptions options)
    : state_(std::make_unique<State>()),
      from_client_(std::make_unique<FromClient>(*state_)),
      from_server_(std::make_unique<FromServer>(*state_)) {
  state_->options = std::move(options);
}

Conversation::~Conversation() = default;
MessageStream& Conversation::from_client() { return *from_client_; }
MessageStream& Conversation::from_server() { return *from_server_; }
uint64_t Conversation::rewritten() const { return state_->rewritten; }
bool Conversation::terminated() const { return state_->terminated; }
bool Conversation::started() const { return state_->started; }

}  // namespace keyhold::gateway
