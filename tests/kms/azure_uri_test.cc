// What a user may write as a key of Azure, and what a vault may write as a challenge: everything that could
// lead elsewhere is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kms/azure/challenge.h"
#include "kms/key_spec.h"

namespace keyhold::kms::azure {
namespace {

using ::testing::HasSubstr;

constexpr char kVersion[] = "0123456789abcdef0123456789abcdef";
constexpr char kTenant[] = "11111111-2222-3333-4444-555555555555";

TEST(KeyUriTest, NamesVaultKeyAndVersion) {
  const auto uri = ParseKeyUri(std::string("https://demo-vault.vault.azure.net/keys/My-Key-1/") + kVersion);
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->host, "demo-vault.vault.azure.net");
  EXPECT_EQ(uri->vault, "demo-vault");
  EXPECT_EQ(uri->name, "My-Key-1");
  EXPECT_EQ(uri->version, kVersion);
  EXPECT_EQ(uri->Path(""), "/keys/My-Key-1");
  EXPECT_EQ(uri->Path(kVersion), std::string("/keys/My-Key-1/") + kVersion);
  EXPECT_EQ(ParseKeyUri("https://demo-vault.vault.azure.net/keys/k")->version, "");
}

struct Place {
  const char* uri;
  const char* login;
  const char* resource;
  bool managed_hsm;
};
void PrintTo(const Place& place, std::ostream* out) { *out << place.uri; }

class Places : public ::testing::TestWithParam<Place> {};

TEST_P(Places, KnowTheirLoginAndResource) {
  const auto uri = ParseKeyUri(GetParam().uri);
  ASSERT_TRUE(uri.ok()) << uri.status();
  EXPECT_EQ(uri->cloud->login_host, GetParam().login);
  EXPECT_EQ(uri->cloud->resource, GetParam().resource);
  EXPECT_EQ(uri->cloud->managed_hsm, GetParam().managed_hsm);
}

INSTANTIATE_TEST_SUITE_P(
    Clouds, Places,
    ::testing::Values(Place{"https://abc.vault.azure.net/keys/k", "login.microsoftonline.com",
                            "https://vault.azure.net", false},
                      Place{"https://abc.vault.azure.cn/keys/k", "login.chinacloudapi.cn",
                            "https://vault.azure.cn", false},
                      Place{"https://abc.vault.usgovcloudapi.net/keys/k", "login.microsoftonline.us",
                            "https://vault.usgovcloudapi.net", false},
                      Place{"https://abc.managedhsm.azure.net/keys/k", "login.microsoftonline.com",
                            "https://managedhsm.azure.net", true},
                      Place{"https://abc.managedhsm.azure.cn/keys/k", "login.chinacloudapi.cn",
                            "https://managedhsm.azure.cn", true},
                      Place{"https://abc.managedhsm.usgovcloudapi.net/keys/k", "login.microsoftonline.us",
                            "https://managedhsm.usgovcloudapi.net", true}));

struct Bad {
  const char* name;
  std::string uri;
  const char* why;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.name; }

class BadUris : public ::testing::TestWithParam<Bad> {};

TEST_P(BadUris, AreRefused) {
  const auto uri = ParseKeyUri(GetParam().uri);
  ASSERT_FALSE(uri.ok());
  EXPECT_EQ(CauseOf(uri.status()), Cause::kInvalidArgument);
  EXPECT_THAT(std::string(uri.status().message()), HasSubstr(GetParam().why));
  EXPECT_THAT(std::string(uri.status().message()), HasSubstr("/keys/NAME"));
}

INSTANTIATE_TEST_SUITE_P(
    Forms, BadUris,
    ::testing::Values(
        Bad{"Http", "http://abc.vault.azure.net/keys/k", "https://"},
        Bad{"UpperScheme", "HTTPS://abc.vault.azure.net/keys/k", "https://"},
        Bad{"NoHost", "https:///keys/k", "not on a host"},
        Bad{"OtherHost", "https://evil.example/keys/k", "not on a host"},
        Bad{"SuffixInPath", "https://evil.example/.vault.azure.net/keys/k", "not on a host"},
        Bad{"SuffixGlued", "https://evilvault.azure.net/keys/k", "not on a host"},
        Bad{"SuffixExtended", "https://abc.vault.azure.net.evil.example/keys/k", "not on a host"},
        Bad{"User", "https://evil.example@abc.vault.azure.net/keys/k", "vault name"},
        Bad{"UserAfter", "https://abc.vault.azure.net@evil.example/keys/k", "not on a host"},
        Bad{"Port", "https://abc.vault.azure.net:443/keys/k", "not on a host"},
        Bad{"TrailingDot", "https://abc.vault.azure.net./keys/k", "not on a host"},
        Bad{"Backslash", "https://evil.example\\.vault.azure.net/keys/k", "vault name"},
        Bad{"EncodedSlash", "https://evil.example%2f.vault.azure.net/keys/k", "vault name"},
        Bad{"TwoLabels", "https://evil.abc.vault.azure.net/keys/k", "vault name"},
        Bad{"Ipv4", "https://127.0.0.1/keys/k", "not on a host"},
        Bad{"Ipv6", "https://[::1]/keys/k", "not on a host"},
        Bad{"LookAlike", "https://abc.vau\xD0\x86t.azure.net/keys/k", "not on a host"},
        Bad{"UpperHost", "https://ABC.vault.azure.net/keys/k", "lower case"},
        Bad{"ShortVault", "https://ab.vault.azure.net/keys/k", "vault name"},
        Bad{"LongVault", "https://abcdefghijklmnopqrstuvwxy.vault.azure.net/keys/k", "vault name"},
        Bad{"HyphenEnd", "https://abc-.vault.azure.net/keys/k", "vault name"},
        Bad{"TwoHyphens", "https://a--c.vault.azure.net/keys/k", "vault name"},
        Bad{"NoPath", "https://abc.vault.azure.net", "not of a key"},
        Bad{"Secret", "https://abc.vault.azure.net/secrets/k", "not of a key"},
        Bad{"NoName", "https://abc.vault.azure.net/keys/", "key name"},
        Bad{"DoubleSlash", "https://abc.vault.azure.net//keys/k", "not of a key"},
        Bad{"NameUp", "https://abc.vault.azure.net/keys/..", "key name"},
        Bad{"NameEscape", "https://abc.vault.azure.net/keys/a%2Fb", "key name"},
        Bad{"Query", "https://abc.vault.azure.net/keys/k?api-version=7.4", "key name"},
        Bad{"Fragment", "https://abc.vault.azure.net/keys/k#x", "key name"},
        Bad{"LongName", "https://abc.vault.azure.net/keys/" + std::string(128, 'k'), "key name"},
        Bad{"TrailingSlash", "https://abc.vault.azure.net/keys/k/", "version"},
        Bad{"ShortVersion", "https://abc.vault.azure.net/keys/k/0123", "version"},
        Bad{"UpperVersion", "https://abc.vault.azure.net/keys/k/0123456789ABCDEF0123456789ABCDEF", "version"},
        Bad{"Deeper", std::string("https://abc.vault.azure.net/keys/k/") + kVersion + "/wrapkey", "version"}),
    [](const auto& info) { return info.param.name; });

TEST(AzureKeySpec, IsCheckedAndKept) {
  const auto spec = ParseKeySpec(R"({"type":"AZURE_KEY_VAULT","uri":"https://abc.vault.azure.net/keys/k",)"
                                 R"("auth_principal":"11111111-2222-3333-4444-555555555555"})");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->auth_principal, kTenant);
  EXPECT_EQ(RegionOf(*spec), "");
  EXPECT_TRUE(CheckRegion(*spec, "eastus").ok()) << "the vault is asked";
  for (const std::string principal : {"contoso.onmicrosoft.com", "common", "arn:aws:iam::111122223333:role/x",
                                      "11111111-2222-3333-4444-55555555555/", "../../../../../x"}) {
    const auto bad = MakeKeySpec("AZURE_KEY_VAULT", spec->uri, principal);
    EXPECT_EQ(CauseOf(bad.status()), Cause::kInvalidArgument) << principal;
    EXPECT_THAT(std::string(bad.status().message()), HasSubstr("tenant"));
  }
}

TEST(VersionOfTest, IsOfTheSameKey) {
  const KeyUri any = *ParseKeyUri("https://abc.vault.azure.net/keys/k");
  const std::string kid = std::string("https://abc.vault.azure.net/keys/K/") + kVersion;
  EXPECT_EQ(*VersionOf(kid, any), kVersion);
  KeyUri pinned = any;
  pinned.version = std::string(32, 'a');
  EXPECT_EQ(CauseOf(VersionOf(kid, pinned).status()), Cause::kKmsCorrupt);
  for (const std::string& other :
       {std::string("https://abd.vault.azure.net/keys/k/") + kVersion,
        std::string("https://abc.vault.azure.net/keys/l/") + kVersion,
        std::string("https://abc.vault.azure.net/keys/k"), std::string("k"), std::string()}) {
    EXPECT_EQ(CauseOf(VersionOf(other, any).status()), Cause::kKmsCorrupt) << other;
  }
}

const AzureCloud& Public() { return *ParseKeyUri("https://abc.vault.azure.net/keys/k")->cloud; }

TEST(Challenge, TellsTheTenant) {
  const std::string tenant = kTenant;
  for (const std::string& challenge :
       {R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant +
            R"(", resource="https://vault.azure.net")",
        R"(Bearer authorization="https://login.windows.net/)" + tenant +
            R"(", resource="https://vault.azure.net")",
        R"(bearer  resource="https://vault.azure.net",authorization="https://login.microsoftonline.com/)" +
            tenant + "/\"",
        R"(Bearer authorization_uri="https://login.microsoftonline.com/)" + tenant +
            R"(", scope="https://vault.azure.net/.default")"}) {
    const auto found = TenantOfChallenge(challenge, Public());
    ASSERT_TRUE(found.ok()) << challenge << found.status();
    EXPECT_EQ(*found, tenant);
  }
}

TEST(Challenge, IsFollowedNowhereElse) {
  const std::string tenant = kTenant;
  const std::string resource = R"(, resource="https://vault.azure.net")";
  for (const std::string& challenge :
       {std::string(), std::string("Bearer"), std::string("Bearer "), std::string("Basic realm=\"x\""),
        R"(Bearer authorization="https://evil.example/)" + tenant + "\"" + resource,
        R"(Bearer authorization="http://login.microsoftonline.com/)" + tenant + "\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com.evil.example/)" + tenant + "\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com@evil.example/)" + tenant + "\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com:444/)" + tenant + "\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.us/)" + tenant + "\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com/common")" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant + "/x\"" + resource,
        R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant + "\"",
        R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant +
            R"(", resource="https://graph.microsoft.com")",
        R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant + resource,
        R"(Bearer authorization="https://login.microsoftonline.com/)" + tenant + "\"" + resource + resource,
        R"(Bearer x)" + resource, "Bearer " + std::string(10000, 'a')}) {
    EXPECT_EQ(CauseOf(TenantOfChallenge(challenge, Public()).status()), Cause::kKmsCorrupt) << challenge;
  }
}

}  // namespace
}  // namespace keyhold::kms::azure
