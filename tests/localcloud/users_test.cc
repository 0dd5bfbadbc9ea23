// Users and their access keys: how they are made, what they may do, and how they end.
#include "absl/strings/str_cat.h"
#include "tests/localcloud/test_cloud.h"

namespace keyhold::localcloud {
namespace {

Json Allow(const Json& action) {
  return {{"Version", "2012-10-17"},
          {"Statement", {{{"Effect", "Allow"}, {"Action", action}, {"Resource", "*"}}}}};
}

class UsersTest : public testing::Test {
 protected:
  // As the customer's admin.
  Answer Iam(const std::string& action, const AwsClient::Form& form = {}) {
    return cloud.Customer().Iam(action, form);
  }
  void Must(const std::string& action, const AwsClient::Form& form) {
    Answer answer = Iam(action, form);
    ASSERT_TRUE(answer.ok()) << action << ": " << answer.text;
  }
  AwsCredentials NewKey(const std::string& user) {
    Answer made = Iam("CreateAccessKey", {{"UserName", user}});
    EXPECT_TRUE(made.ok()) << made.text;
    return {XmlValue(made.text, "AccessKeyId"), XmlValue(made.text, "SecretAccessKey"), ""};
  }
  void Put(const std::string& user, const std::string& policy, const Json& document) {
    Must("PutUserPolicy", {{"UserName", user}, {"PolicyName", policy}, {"PolicyDocument", document.dump()}});
  }
  std::string Arn(const std::string& resource) {
    return "arn:aws:iam::" + cloud.customer_account() + ":" + resource;
  }
  Answer Encrypt(const AwsCredentials& credentials, const std::string& key) {
    return cloud.With(credentials).Kms("Encrypt", {{"KeyId", key}, {"Plaintext", "eA=="}});
  }
  Json Statement(const std::string& effect, const std::string& principal) {
    return {{"Effect", effect},
            {"Principal", {{"AWS", principal}}},
            {"Action", "kms:Encrypt"},
            {"Resource", "*"}};
  }
  // The texts of all <name> elements of the pages of a list, and how many pages there were.
  std::pair<std::vector<std::string>, int> Pages(const std::string& action, AwsClient::Form form,
                                                 const std::string& name) {
    std::vector<std::string> texts;
    for (int pages = 1;; pages++) {
      Answer page = Iam(action, form);
      EXPECT_TRUE(page.ok()) << page.text;
      std::string rest = page.text;
      for (std::string text; !(text = XmlValue(rest, name)).empty();) {
        texts.push_back(text);
        rest = rest.substr(rest.find("</" + name + ">") + name.size() + 3);
      }
      form["Marker"] = XmlValue(page.text, "Marker");
      EXPECT_EQ(XmlValue(page.text, "IsTruncated"), form["Marker"].empty() ? "false" : "true");
      if (form["Marker"].empty()) return {texts, pages};
    }
  }
  TestCloud cloud;
};

TEST_F(UsersTest, AUserIsMadeFoundAndDeleted) {
  Answer made = Iam("CreateUser", {{"UserName", "app"}, {"Path", "/team/a/"}});
  ASSERT_TRUE(made.ok()) << made.text;
  EXPECT_EQ(XmlValue(made.text, "Arn"), Arn("user/team/a/app"));
  EXPECT_EQ(XmlValue(made.text, "UserId").substr(0, 4), "AIDA");
  EXPECT_EQ(XmlValue(made.text, "CreateDate"),
            absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", cloud.clock().Now(), absl::UTCTimeZone()));
  cloud.Restart();
  Answer found = Iam("GetUser", {{"UserName", "app"}});
  EXPECT_EQ(XmlValue(found.text, "User"), XmlValue(made.text, "User"));
  EXPECT_EQ(Iam("CreateUser", {{"UserName", "App"}}).message, "User with name App already exists.");
  Must("DeleteUser", {{"UserName", "app"}});
  Answer gone = Iam("GetUser", {{"UserName", "app"}});
  EXPECT_EQ(gone.status, 404);
  EXPECT_EQ(gone.type, "NoSuchEntity");
  EXPECT_EQ(gone.message, "The user with name app cannot be found.");
  EXPECT_EQ(Iam("DeleteUser", {{"UserName", "app"}}).type, "NoSuchEntity");
}

TEST_F(UsersTest, WithoutANameTheCallerIsMeant) {
  EXPECT_EQ(XmlValue(Iam("GetUser").text, "Arn"), Arn("user/admin"));
  Must("CreateUser", {{"UserName", "app"}, {"Path", "/team/"}});
  Put("app", "self", Allow({"iam:GetUser", "iam:*AccessKey*"}));
  AwsCredentials first = NewKey("app");
  AwsClient app = cloud.With(first);
  EXPECT_EQ(XmlValue(app.Iam("GetUser", {}).text, "Arn"), Arn("user/team/app"));
  Answer second = app.Iam("CreateAccessKey", {});
  EXPECT_EQ(XmlValue(second.text, "UserName"), "app");
  EXPECT_TRUE(app.Iam("DeleteAccessKey", {{"AccessKeyId", first.access_key_id}}).ok());
  EXPECT_EQ(app.Iam("GetUser", {}).type, "InvalidClientTokenId");
  EXPECT_EQ(Pages("ListAccessKeys", {{"UserName", "app"}}, "AccessKeyId").first,
            std::vector{XmlValue(second.text, "AccessKeyId")});
}

TEST_F(UsersTest, ARoleSessionIsNoUser) {
  Json trust = {
      {"Version", "2012-10-17"},
      {"Statement",
       {{{"Effect", "Allow"}, {"Principal", {{"AWS", Arn("user/admin")}}}, {"Action", "sts:AssumeRole"}}}}};
  Must("CreateRole", {{"RoleName", "r"}, {"AssumeRolePolicyDocument", trust.dump()}});
  Answer assumed =
      cloud.Customer().Sts("AssumeRole", {{"RoleArn", Arn("role/r")}, {"RoleSessionName", "s1"}});
  AwsClient role =
      cloud.With({XmlValue(assumed.text, "AccessKeyId"), XmlValue(assumed.text, "SecretAccessKey"),
                  XmlValue(assumed.text, "SessionToken")});
  EXPECT_EQ(role.Iam("GetUser", {}).message, "Must specify userName when calling with non-User credentials");
}

TEST_F(UsersTest, AnAccessKeyIsItsUserWhileItIsActive) {
  Must("CreateUser", {{"UserName", "app"}});
  Put("app", "kms", Allow("kms:Encrypt"));
  AwsCredentials key = NewKey("app");
  EXPECT_EQ(key.access_key_id.substr(0, 4), "AKIA");
  EXPECT_EQ(key.secret_access_key.size(), 40u);
  Answer who = cloud.With(key).Sts("GetCallerIdentity", {});
  EXPECT_EQ(XmlValue(who.text, "Arn"), Arn("user/app"));
  EXPECT_EQ(XmlValue(who.text, "UserId"), XmlValue(Iam("GetUser", {{"UserName", "app"}}).text, "UserId"));
  const std::string kms = cloud.NewKey();
  EXPECT_TRUE(Encrypt(key, kms).ok());
  cloud.Restart();
  EXPECT_TRUE(Encrypt(key, kms).ok());

  AwsClient::Form update = {{"UserName", "app"}, {"AccessKeyId", key.access_key_id}, {"Status", "Inactive"}};
  Must("UpdateAccessKey", update);
  EXPECT_EQ(Encrypt(key, kms).type, "UnrecognizedClientException");
  EXPECT_EQ(Encrypt(key, kms).message, "The security token included in the request is invalid.");
  Answer refused = cloud.With(key).Sts("GetCallerIdentity", {});
  EXPECT_EQ(refused.status, 403);
  EXPECT_EQ(refused.type, "InvalidClientTokenId");
  EXPECT_EQ(XmlValue(Iam("ListAccessKeys", {{"UserName", "app"}}).text, "Status"), "Inactive");
  update["Status"] = "Active";
  Must("UpdateAccessKey", update);
  EXPECT_TRUE(Encrypt(key, kms).ok());
  Must("DeleteAccessKey", {{"UserName", "app"}, {"AccessKeyId", key.access_key_id}});
  EXPECT_EQ(Encrypt(key, kms).type, "UnrecognizedClientException");
}

TEST_F(UsersTest, ASecretIsToldOnceAndNotKeptInTheOpen) {
  Must("CreateUser", {{"UserName", "app"}});
  AwsCredentials key = NewKey("app");
  Answer list = Iam("ListAccessKeys", {{"UserName", "app"}});
  EXPECT_EQ(XmlValue(list.text, "AccessKeyId"), key.access_key_id);
  EXPECT_EQ(list.text.find("Secret"), std::string::npos);
  cloud.Stop();
  for (const char* file : {"cloud.db", "cloud.db-wal", "access.log"}) {
    EXPECT_EQ(ReadFile(cloud.File(file)).find(key.secret_access_key), std::string::npos) << file;
  }
}

TEST_F(UsersTest, AUserHasTwoAccessKeysAtMostInactiveOnesToo) {
  Must("CreateUser", {{"UserName", "app"}});
  AwsCredentials key = NewKey("app");
  NewKey("app");
  Must("UpdateAccessKey", {{"UserName", "app"}, {"AccessKeyId", key.access_key_id}, {"Status", "Inactive"}});
  Answer third = Iam("CreateAccessKey", {{"UserName", "app"}});
  EXPECT_EQ(third.status, 409);
  EXPECT_EQ(third.type, "LimitExceeded");
  EXPECT_EQ(third.message, "Cannot exceed quota for AccessKeysPerUser: 2");
  Must("DeleteAccessKey", {{"UserName", "app"}, {"AccessKeyId", key.access_key_id}});
  NewKey("app");
}

TEST_F(UsersTest, AnAccessKeyIsOnlyItsUsersToChange) {
  Must("CreateUser", {{"UserName", "a"}});
  Must("CreateUser", {{"UserName", "b"}});
  AwsClient::Form form = {
      {"UserName", "b"}, {"AccessKeyId", NewKey("a").access_key_id}, {"Status", "Inactive"}};
  Answer update = Iam("UpdateAccessKey", form);
  EXPECT_EQ(update.type, "NoSuchEntity");
  EXPECT_EQ(update.message, "The Access Key with id " + form["AccessKeyId"] + " cannot be found.");
  EXPECT_EQ(Iam("DeleteAccessKey", form).type, "NoSuchEntity");
  EXPECT_EQ(XmlValue(Iam("ListAccessKeys", {{"UserName", "a"}}).text, "Status"), "Active");
  form["UserName"] = "a";
  form["Status"] = "Expired";
  EXPECT_EQ(Iam("UpdateAccessKey", form).type, "ValidationError");
}

TEST_F(UsersTest, AUserWithKeysOrPoliciesIsNotDeleted) {
  Must("CreateUser", {{"UserName", "app"}});
  AwsCredentials key = NewKey("app");
  Put("app", "p", Allow("kms:*"));
  Answer keys = Iam("DeleteUser", {{"UserName", "app"}});
  EXPECT_EQ(keys.status, 409);
  EXPECT_EQ(keys.type, "DeleteConflict");
  EXPECT_EQ(keys.message, "Cannot delete entity, must delete access keys first.");
  Must("DeleteAccessKey", {{"UserName", "app"}, {"AccessKeyId", key.access_key_id}});
  EXPECT_EQ(Iam("DeleteUser", {{"UserName", "app"}}).message,
            "Cannot delete entity, must delete policies first.");
  Must("DeleteUserPolicy", {{"UserName", "app"}, {"PolicyName", "p"}});
  Must("DeleteUser", {{"UserName", "app"}});
}

TEST_F(UsersTest, ItsPoliciesAndTheKeysDecideTogether) {
  Must("CreateUser", {{"UserName", "app"}});
  AwsCredentials key = NewKey("app");
  const std::string kms = cloud.NewKey();
  Answer refused = Encrypt(key, kms);
  EXPECT_EQ(refused.message, absl::StrCat("User: ", Arn("user/app"),
                                          " is not authorized to perform: kms:Encrypt on resource: ", kms,
                                          " because no identity-based policy allows the kms:Encrypt action"));
  ASSERT_TRUE(cloud.Grant(kms, Statement("Allow", Arn("user/app"))).ok());
  EXPECT_TRUE(Encrypt(key, kms).ok());
  Json deny = Allow("kms:Encrypt");
  deny["Statement"][0]["Effect"] = "Deny";
  Put("app", "no", deny);
  EXPECT_EQ(Encrypt(key, kms).type, "AccessDeniedException");
  Put("app", "no", Allow("kms:Encrypt"));
  ASSERT_TRUE(cloud.Grant(kms, Statement("Deny", Arn("user/app"))).ok());
  EXPECT_EQ(Encrypt(key, kms).type, "AccessDeniedException");
  EXPECT_EQ(cloud.Grant(kms, Statement("Allow", Arn("user/nobody"))).message,
            "Policy contains a statement with one or more invalid principals.");
}

TEST_F(UsersTest, WhoMayNotManageUsersIsRefused) {
  Must("CreateUser", {{"UserName", "app"}});
  AwsClient app = cloud.With(NewKey("app"));
  for (const char* action : {"CreateUser", "GetUser", "DeleteUser", "CreateAccessKey", "ListAccessKeys"}) {
    Answer refused = app.Iam(action, {{"UserName", "other"}});
    EXPECT_EQ(refused.status, 403) << action;
    EXPECT_EQ(refused.type, "AccessDenied") << action;
    EXPECT_NE(refused.message.find(Arn("user/other")), std::string::npos) << refused.message;
  }
  EXPECT_EQ(app.Iam("ListUsers", {}).type, "AccessDenied");
  EXPECT_EQ(cloud.Platform().Iam("GetUser", {{"UserName", "app"}}).type, "AccessDenied");
}

TEST_F(UsersTest, PoliciesAreReadBackAndHaveAQuota) {
  Must("CreateUser", {{"UserName", "app"}});
  Put("app", "b", Allow("kms:Decrypt"));
  Put("app", "a", Allow("kms:Encrypt"));
  AwsClient::Form a = {{"UserName", "app"}, {"PolicyName", "a"}};
  Answer got = Iam("GetUserPolicy", a);
  EXPECT_EQ(XmlValue(got.text, "UserName"), "app");
  EXPECT_NE(XmlValue(got.text, "PolicyDocument").find("kms%3AEncrypt"), std::string::npos) << got.text;
  AwsClient::Form pages = {{"UserName", "app"}, {"MaxItems", "1"}};
  EXPECT_EQ(Pages("ListUserPolicies", pages, "member"), std::pair(std::vector<std::string>({"a", "b"}), 2));
  Must("DeleteUserPolicy", a);
  EXPECT_EQ(Iam("GetUserPolicy", a).message, "The user policy with name a cannot be found.");
  EXPECT_EQ(Iam("DeleteUserPolicy", a).type, "NoSuchEntity");
  a["PolicyDocument"] = Allow("kms:Encrypt").dump() + std::string(3000, ' ');
  Must("PutUserPolicy", a);
  a["PolicyDocument"] = Allow("kms:" + std::string(1900, 'x')).dump();
  Answer much = Iam("PutUserPolicy", a);
  EXPECT_EQ(much.type, "LimitExceeded");
  EXPECT_EQ(much.message, "Maximum policy size of 2048 bytes exceeded for user app");
  Must("DeleteUserPolicy", {{"UserName", "app"}, {"PolicyName", "b"}});
  Must("PutUserPolicy", a);
  a["PolicyDocument"] = "{}";
  EXPECT_EQ(Iam("PutUserPolicy", a).type, "MalformedPolicyDocument");
}

TEST_F(UsersTest, ListsComeInPages) {
  for (const char* name : {"c", "a", "d"}) Must("CreateUser", {{"UserName", name}, {"Path", "/x/"}});
  const std::vector<std::string> all = {"a", "admin", "c", "d"};
  EXPECT_EQ(Pages("ListUsers", {}, "UserName"), std::pair(all, 1));
  EXPECT_EQ(Pages("ListUsers", {{"MaxItems", "3"}}, "UserName"), std::pair(all, 2));
  EXPECT_EQ(Pages("ListUsers", {{"MaxItems", "2"}}, "UserName"), std::pair(all, 2));
  EXPECT_EQ(Pages("ListUsers", {{"MaxItems", "2"}, {"PathPrefix", "/x"}}, "UserName"),
            std::pair(std::vector<std::string>({"a", "c", "d"}), 2));
  // A page goes on where the last one ended, also when that user is gone since.
  std::string marker = XmlValue(Iam("ListUsers", {{"MaxItems", "3"}}).text, "Marker");
  Must("DeleteUser", {{"UserName", "c"}});
  EXPECT_EQ(XmlValue(Iam("ListUsers", {{"Marker", marker}}).text, "UserName"), "d");
  for (const char* bad : {"", "c", "!", "AAAA"}) {
    EXPECT_EQ(Iam("ListUsers", {{"Marker", bad}}).message, "Invalid Marker.") << bad;
  }
  EXPECT_EQ(Iam("ListRoles", {{"Marker", marker}}).message, "Invalid Marker.");
  for (const char* bad : {"0", "1001", "-1", "x", ""}) {
    EXPECT_EQ(Iam("ListUsers", {{"MaxItems", bad}}).type, "ValidationError") << bad;
  }
}

TEST_F(UsersTest, RolesAndTheirPoliciesComeInPagesToo) {
  Json trust = {
      {"Version", "2012-10-17"},
      {"Statement", {{{"Effect", "Allow"}, {"Principal", {{"AWS", "*"}}}, {"Action", "sts:AssumeRole"}}}}};
  for (const char* name : {"b", "a", "c"}) {
    Must("CreateRole", {{"RoleName", name}, {"AssumeRolePolicyDocument", trust.dump()}});
    Must("PutRolePolicy",
         {{"RoleName", "b"}, {"PolicyName", name}, {"PolicyDocument", Allow("kms:*").dump()}});
  }
  const std::vector<std::string> all = {"a", "b", "c"};
  EXPECT_EQ(Pages("ListRoles", {{"MaxItems", "2"}}, "RoleName"), std::pair(all, 2));
  EXPECT_EQ(Pages("ListRolePolicies", {{"RoleName", "b"}, {"MaxItems", "1"}}, "member"), std::pair(all, 3));
  EXPECT_TRUE(Pages("ListRoles", {{"PathPrefix", "/x/"}}, "RoleName").first.empty());
}

TEST_F(UsersTest, BadNamesPathsAndWhatHasNoEffectAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("a b"), std::string("a/b"), std::string(65, 'a')}) {
    EXPECT_EQ(Iam("CreateUser", {{"UserName", name}}).type, "ValidationError") << name;
  }
  for (const std::string& path : {std::string(), std::string("x/"), std::string("/x"), std::string("/ /"),
                                  "/" + std::string(511, 'a') + "/"}) {
    EXPECT_EQ(Iam("CreateUser", {{"UserName", "u"}, {"Path", path}}).type, "ValidationError") << path;
  }
  EXPECT_EQ(Iam("CreateUser", {{"UserName", "u"}, {"PermissionsBoundary", Arn("policy/p")}}).type,
            "UnsupportedOperationException");
  EXPECT_EQ(Iam("CreateUser", {{"UserName", "u"}, {"Tags.member.1.Key", "k"}}).type,
            "UnsupportedOperationException");
  EXPECT_EQ(Iam("DeleteAccessKey", {{"AccessKeyId", "short"}}).type, "ValidationError");
  EXPECT_EQ(Pages("ListUsers", {}, "UserName").first, std::vector<std::string>{"admin"});
}

TEST_F(UsersTest, AStartGivesTheAccountsOwnerBackWhatItLost) {
  const Json before = Json::parse(ReadFile(cloud.File("customer.json")))["aws"];
  const std::string kms = cloud.NewKey();
  Must("CreateUser", {{"UserName", "keyhold"}});  // not the platform's of that name
  Must("CreateUser", {{"UserName", "ops"}});
  Put("ops", "iam", Allow("iam:*"));
  AwsClient ops = cloud.With(NewKey("ops"));
  AwsClient::Form admin = {
      {"UserName", "admin"}, {"PolicyName", "default"}, {"AccessKeyId", before["access_key_id"]}};
  for (const char* action : {"DeleteUserPolicy", "DeleteAccessKey", "DeleteUser"}) {
    EXPECT_TRUE(ops.Iam(action, admin).ok()) << action;
  }
  EXPECT_EQ(Iam("GetUser").type, "InvalidClientTokenId");
  const std::string platform = cloud.platform_arn();
  cloud.Restart();
  const Json after = Json::parse(ReadFile(cloud.File("customer.json")))["aws"];
  EXPECT_EQ(after["account_id"], before["account_id"]);
  EXPECT_NE(after["access_key_id"], before["access_key_id"]);
  EXPECT_TRUE(cloud.Customer().Kms("DescribeKey", {{"KeyId", kms}}).ok());
  EXPECT_EQ(cloud.platform_arn(), platform);
  EXPECT_EQ(XmlValue(cloud.Platform().Sts("GetCallerIdentity", {}).text, "Arn"), platform);
}

}  // namespace
}  // namespace keyhold::localcloud
