//! `check`: good files pass, and each mistake made to one is told with its place, its field and its mend.

use std::fs;

use crate::{Run, folder, repository, session_bearer, session_bearer_in};

/// Files that are as they should be.
#[derive(Clone, Copy, Debug)]
enum Good {
    Plugin,
    Envoy,
    WasmPlugin,
    EnvoyFilter,
    ExtensionPolicy,
}
use Good::{Envoy, EnvoyFilter, ExtensionPolicy, Plugin, WasmPlugin};

impl Good {
    fn text(self) -> String {
        match self {
            Plugin => repository("tests/command/files/plugin.yaml"),
            Envoy => repository("envoy/envoy.yaml"),
            WasmPlugin => repository("tests/command/files/wasm-plugin.yaml"),
            // The list of capabilities is not written twice.
            EnvoyFilter => repository("tests/command/files/envoy-filter.yaml").replace("ALLOWED", &capabilities()),
            ExtensionPolicy => repository("tests/command/files/extension-policy.yaml"),
        }
    }
}

fn capabilities() -> String {
    let shipped = repository("envoy/envoy.yaml");
    let names = shipped.lines().filter_map(|line| line.trim().strip_suffix(": {}"));
    let names = names.filter(|name| !name.contains(' ') && *name != "http_protocol_options");
    format!("{{{}}}", names.map(|name| format!("{name}: {{}}")).collect::<Vec<_>>().join(", "))
}

/// A mistake: in which file, what is replaced by what, and what is to be told: how, at the line that has this text,
/// of which field, with which mend.
type Mistake = (Good, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const CORS: &str = "          - name: envoy.filters.http.cors
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.cors.v3.Cors";

const LAST: &str = "          # Last, as ever.\n";

const RBAC: &str = "          - name: envoy.filters.http.rbac
            typed_config: { rules: { policies: { a: { permissions: [{ header: { name: authorization } }] } } } }";

const TWIN: &str = "          - name: another
            typed_config:
              \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm
              config: { name: another, vm_config: { vm_id: session-bearer } }
";

const WASM: &str = "          - name: envoy.filters.http.wasm\n";

const WASM_OFF: &str = "          - name: envoy.filters.http.wasm\n            disabled: true\n";

const OFF_PATH: &str = "typed_per_filter_config.envoy.filters.http.wasm.disabled";

const OFF_FOR_ALL: &str = "            name: edge
            typed_per_filter_config:
              envoy.filters.http.wasm: { \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
";

const OFF_FOR_HOST: &str = "              typed_per_filter_config:
                envoy.filters.http.wasm: { \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig, disabled: true }
";

const OFF_FOR_ROUTE: &str = "              - match: { path: /healthz }
                typed_per_filter_config:
                  envoy.filters.http.wasm:
                    \"@type\": type.googleapis.com/envoy.config.route.v3.FilterConfig
                    disabled: true
";

const MISTAKES: &[Mistake] = &[
    // Keys and shapes
    (Plugin, "  timeout: 2s", "  timout: 2s", "error", "timout", "exchange.timout", "did you mean `timeout`?"),
    (Plugin, "cache:", "cahce:", "error", "cahce", "cahce", "did you mean `cache`?"),
    (Plugin, "prefix: /feed", "prefx: /feed", "error", "prefx", "routes[3].match.prefx", "did you mean `prefix`?"),
    (Plugin, "  authority: auth.internal\n", "", "error", "exchange:", "exchange", "write `authority: …`"),
    (Plugin, "  retries: 1", "  retries: once", "error", "retries", "exchange.retries", "u32"),
    (Plugin, "  timeout: 2s", "  timeout: 2", "error", "timeout", "exchange.timeout", "\"30s\""),
    (
        Plugin,
        "audiences: [api-service]",
        "audiences: api-service",
        "error",
        "audiences",
        "token.audiences",
        "a sequence",
    ),
    (Plugin, "- bearer: {}", "- bearer", "error", "- bearer", "credentials[1].bearer", "{\"bearer\": {}}"),
    (Plugin, "- bearer: {}", "- baerer: {}", "error", "baerer", "credentials[1]", "`bearer`"),
    (Plugin, "keys: { secret_env: JWT_SECRET }", "keys: JWT_SECRET", "error", "keys", "token.keys", "an object"),
    (Plugin, "/feed }, auth: optional", "/feed }, auth: maybe", "error", "/feed", "routes[3].auth", "\"optional\""),
    (Plugin, "/feed }, auth: optional", "/feed }, auth: on", "error", "/feed", "routes[3].auth", "\"optional\""),
    // Values
    (Plugin, "timeout: 2s", "timeout: 40s", "error", "40s", "exchange.timeout", "\"1ms\" to \"30s\""),
    (Plugin, "retries: 1", "retries: 6", "error", "retries", "exchange.retries", "0 to 5"),
    (Plugin, "path: /api/auth/jwt", "path: api/auth/jwt", "error", "path: api", "exchange.path", "/api/auth/jwt"),
    (Plugin, "auth.internal", "http://auth.internal", "error", "http:", "exchange.authority", "a host"),
    (
        Plugin,
        "json_pointer: /token",
        "json_pointer: token",
        "error",
        "json_pointer",
        "exchange.token.json_pointer",
        "\"/token\"",
    ),
    (
        Plugin,
        "x-from: envoy",
        "authorization: x",
        "error",
        "authorization",
        "exchange.headers.authorization",
        "leave it out",
    ),
    (
        Plugin,
        "x-from: envoy",
        "x-api-key: s3cret",
        "warning",
        "x-api-key",
        "exchange.headers.x-api-key",
        "/config_dump",
    ),
    (Plugin, "max_ttl: 60s", "max_ttl: 0s", "error", "max_ttl", "cache.max_ttl", "\"1s\" to \"24h\""),
    (
        Plugin,
        "[/api/auth/sign-out]",
        "[/a, /api//sign-out]",
        "error",
        "//sign-out",
        "cache.sign_out_paths[1]",
        "can never match",
    ),
    (Plugin, "[HS256]", "[HS256, RS256]", "error", "RS256", "token.algorithms[1]", "token.keys.jwks"),
    (Plugin, "[HS256]", "[HS265]", "error", "HS265", "token.algorithms[0]", "HS256"),
    (Plugin, "  issuer: auth-service\n", "", "warning", "token:", "token.issuer", "any issuer"),
    (
        Plugin,
        "secret_env: JWT_SECRET",
        "secret_env: hush-hush-hush",
        "error",
        "keys:",
        "token.keys.secret_env",
        "name the variable",
    ),
    (Plugin, "{ secret_env: JWT_SECRET }", "{}", "error", "keys:", "token.keys", "secret_env"),
    (Plugin, "methods: [GET]", "methods: [get]", "error", "[get]", "routes[1].match.methods[0]", "upper case"),
    (Plugin, "prefix: /admin", "prefix: /admin/../x", "error", "/admin/..", "routes[2].match.prefix", "decoded"),
    (Plugin, "auth: required", "auth: \"off\"", "error", "require:", "routes[2].require", "\"required\""),
    (
        Plugin,
        "https://app.example.com",
        "https://app.example.com/",
        "error",
        "trusted_origins",
        "csrf.trusted_origins[0]",
        "without a slash",
    ),
    (
        Plugin,
        "https://app.example.com",
        "http://app.example.com",
        "warning",
        "trusted_origins",
        "csrf.trusted_origins",
        "not https",
    ),
    (
        Plugin,
        "x-user-id: /sub",
        "x_user_id: /sub",
        "error",
        "x_user_id",
        "upstream.claim_headers.x_user_id",
        "with \"-\"",
    ),
    (
        Plugin,
        "location: /api/auth/sign-in",
        "location: /sign-in",
        "warning",
        "location",
        "unauthenticated.sign_in.location",
        "auth \"off\"",
    ),
    (Plugin, "csrf:", "report_only: true\ncsrf:", "warning", "report_only", "report_only", "nothing is refused"),
    (
        Plugin,
        "companions: [remember]",
        "companions: [sid]",
        "error",
        "companions",
        "credentials[0].session_cookie.companions[0]",
        "once",
    ),
    (Plugin, "cache:\n", "cache:\n  max_ttl: 5s\n", "error", "60s", "max_ttl", "keep one"),
    // Envoy's configuration: the plugin's within it
    (Envoy, "retries: 1", "retires: 1", "error", "retires", "exchange.retires", "did you mean `retries`?"),
    (
        Envoy,
        "cluster: auth_service\n                      authority",
        "cluster: auth_servce\n                      authority",
        "error",
        "auth_servce",
        "exchange.cluster",
        "did you mean \"auth_service\"?",
    ),
    (
        Envoy,
        "google.protobuf.Struct",
        "google.protobuf.StringValue",
        "error",
        "value:",
        "configuration.value",
        "a Struct",
    ),
    // … and what is around it
    (
        Envoy,
        "failure_policy: FAIL_RELOAD",
        "failure_policy: FAIL_OPEN",
        "error",
        "FAIL_OPEN",
        "failure_policy",
        "FAIL_RELOAD",
    ),
    (Envoy, "failure_policy: FAIL_RELOAD", "fail_open: true", "error", "fail_open", "fail_open", "FAIL_RELOAD"),
    (
        Envoy,
        "failure_policy: FAIL_RELOAD",
        "failure_policy: FAIL_CLOSED",
        "warning",
        "FAIL_CLOSED",
        "failure_policy",
        "FAIL_RELOAD",
    ),
    (
        Envoy,
        "vm_id: session-bearer",
        "allow_precompiled: false",
        "warning",
        "runtime:",
        "vm_config.vm_id",
        "a name that nothing else has",
    ),
    (
        Envoy,
        "host_env_keys: [JWT_SECRET]",
        "host_env_keys: [OTHER]",
        "error",
        "host_env_keys",
        "vm_config.environment_variables.host_env_keys",
        "[JWT_SECRET]",
    ),
    (
        Envoy,
        "host_env_keys: [JWT_SECRET]",
        "key_values: { JWT_SECRET: hush }",
        "error",
        "key_values",
        "vm_config.environment_variables.key_values.JWT_SECRET",
        "host_env_keys",
    ),
    (
        Envoy,
        "capability_restriction_config:",
        "other:",
        "warning",
        "name: session_bearer",
        "capability_restriction_config.allowed_capabilities",
        "envoy/envoy.yaml",
    ),
    (
        Envoy,
        "                    proxy_http_call: {}\n",
        "",
        "error",
        "allowed_capabilities",
        "capability_restriction_config.allowed_capabilities",
        "proxy_http_call",
    ),
    (
        Envoy,
        "                    proxy_http_call: {}\n",
        "                    proxy_http_call: {}\n                    proxy_grpc_call: {}\n",
        "warning",
        "proxy_grpc_call",
        "capability_restriction_config.allowed_capabilities.proxy_grpc_call",
        "take it out",
    ),
    (
        Envoy,
        "http.async_response_buffer_limit: 65536",
        "other: 1",
        "warning",
        "layered_runtime",
        "layered_runtime: http.async_response_buffer_limit",
        "65536",
    ),
    (
        Envoy,
        "http.async_response_buffer_limit: 65536",
        "other: 1\n  - name: admin\n    admin_layer: {}",
        "warning",
        "layered_runtime",
        "layered_runtime: http.async_response_buffer_limit",
        "65536",
    ),
    (
        Envoy,
        "normalize_path: true",
        "normalize_path: false",
        "warning",
        "normalize_path",
        "normalize_path",
        "normalize_path: true",
    ),
    (
        Envoy,
        "merge_slashes: true",
        "preserve_external_request_id: true",
        "warning",
        "http_connection_manager.v3",
        "merge_slashes",
        "merge_slashes: true",
    ),
    (
        Envoy,
        "action: REJECT_REQUEST\n\n",
        "action: KEEP_UNCHANGED\n\n",
        "warning",
        "KEEP_UNCHANGED",
        "path_with_escaped_slashes_action",
        "REJECT_REQUEST",
    ),
    (
        Envoy,
        "underscores_action: REJECT_REQUEST",
        "underscores_action: ALLOW",
        "warning",
        "ALLOW",
        "common_http_protocol_options.headers_with_underscores_action",
        "REJECT_REQUEST",
    ),
    (
        Envoy,
        "- match: { path: /healthz }\n",
        "- match: { path: /healthz, headers: [{ name: Authorization, present_match: true }] }\n",
        "warning",
        "present_match",
        "route_config: match.headers",
        "by path",
    ),
    (
        Envoy,
        "- match: { path: /healthz }\n",
        "- match: { path: /healthz, cookies: [{ name: better-auth.session_token, present_match: true }, { name: beta }] }\n",
        "warning",
        "present_match",
        "route_config: match.cookies",
        "by path",
    ),
    (
        Envoy,
        CORS,
        "          - name: envoy.filters.http.jwt_authn",
        "warning",
        "jwt_authn",
        "http_filters[0]",
        "put it after",
    ),
    (Envoy, CORS, "          - name: envoy.filters.http.router", "error", "router", "http_filters[0]", "put it last"),
    (Envoy, CORS, RBAC, "warning", "rbac", "http_filters[0]", "put it after"),
    (Envoy, LAST, "          - name: envoy.filters.http.cors\n", "warning", "cors", "http_filters[2]", "put it first"),
    (Envoy, LAST, "          - name: envoy.filters.http.cache\n", "error", "cache", "http_filters[2]", "put it before"),
    (Envoy, LAST, TWIN, "warning", "vm_id: session-bearer", "vm_config.vm_id", "give it to nothing else"),
    // … also in Envoy's other spelling
    (
        Envoy,
        "failure_policy: FAIL_RELOAD",
        "failurePolicy: FAIL_OPEN",
        "error",
        "FAIL_OPEN",
        "failure_policy",
        "FAIL_RELOAD",
    ),
    (Envoy, "failure_policy: FAIL_RELOAD", "failOpen: true", "error", "failOpen", "fail_open", "FAIL_RELOAD"),
    (Envoy, "failure_policy: FAIL_RELOAD", "failure_policy: 3", "error", "policy: 3", "failure_policy", "FAIL_RELOAD"),
    (Envoy, "failure_policy: FAIL_RELOAD", "failurePolicy: 2", "warning", "Policy: 2", "failure_policy", "FAIL_RELOAD"),
    (
        Envoy,
        "host_env_keys: [JWT_SECRET]",
        "keyValues: { JWT_SECRET: hush }",
        "error",
        "keyValues",
        "vm_config.environment_variables.key_values.JWT_SECRET",
        "host_env_keys",
    ),
    (
        Envoy,
        "normalize_path: true",
        "normalizePath: false",
        "warning",
        "normalizePath",
        "normalize_path",
        "normalize_path: true",
    ),
    (
        Plugin,
        "json_pointer: /token",
        "jsonPointer: /token",
        "error",
        "json",
        "exchange.token.jsonPointer",
        "json_pointer",
    ),
    // … and whether it is asked at all
    (Envoy, WASM, WASM_OFF, "error", "disabled: true", "disabled", "write an auth: \"off\" rule"),
    (Envoy, "            name: edge\n", OFF_FOR_ALL, "error", "disabled", OFF_PATH, "without the filter"),
    (
        Envoy,
        "              typed_per_filter_config:\n",
        OFF_FOR_HOST,
        "error",
        "disabled",
        OFF_PATH,
        "without the filter",
    ),
    (
        Envoy,
        "              - match: { path: /healthz }\n",
        OFF_FOR_ROUTE,
        "error",
        "disabled",
        OFF_PATH,
        "write an auth: \"off\" rule",
    ),
    (
        EnvoyFilter,
        "        name: session_bearer\n",
        "        name: session_bearer\n        disabled: true\n",
        "error",
        "disabled",
        "disabled",
        "take it out",
    ),
    // Istio and Envoy Gateway
    (
        WasmPlugin,
        "failStrategy: FAIL_CLOSE",
        "failStrategy: FAIL_OPEN",
        "error",
        "FAIL_OPEN",
        "spec.failStrategy",
        "FAIL_CLOSE",
    ),
    (
        WasmPlugin,
        "valueFrom: HOST",
        "value: hush",
        "error",
        "value: hush",
        "spec.vmConfig.env[0].value",
        "valueFrom: HOST",
    ),
    (
        WasmPlugin,
        "name: JWT_SECRET",
        "name: OTHER",
        "error",
        "- name: OTHER",
        "spec.vmConfig.env",
        "{name: JWT_SECRET, valueFrom: HOST}",
    ),
    (WasmPlugin, "      path: /api/auth/jwt", "      path: 7", "error", "path: 7", "exchange.path", "a string"),
    (
        WasmPlugin,
        "  pluginConfig:",
        "  pluginConfg:",
        "error",
        "selector:",
        "pluginConfig",
        "the plugin's configuration",
    ),
    (
        EnvoyFilter,
        "\"path\": \"/api/auth/jwt\"",
        "\"path\": \"jwt\"",
        "error",
        "\"jwt\"",
        "exchange.path",
        "/api/auth/jwt",
    ),
    (
        EnvoyFilter,
        "\"path\": \"/api/auth/jwt\"",
        "\"path\": \"/jwt\",",
        "error",
        "}",
        "configuration.value",
        "not JSON",
    ),
    (EnvoyFilter, "vm_id: session-bearer", "vm_id: \"\"", "warning", "runtime", "vm_config.vm_id", "a name"),
    (ExtensionPolicy, "failOpen: false", "failOpen: true", "error", "failOpen", "failOpen", "leave it out"),
    (ExtensionPolicy, "hostKeys: [JWT_SECRET]", "hostKeys: []", "error", "hostKeys", "env.hostKeys", "[JWT_SECRET]"),
    (
        ExtensionPolicy,
        "issuer: auth-service",
        "isuer: auth-service",
        "error",
        "isuer",
        "token.isuer",
        "did you mean `issuer`?",
    ),
];

fn check(text: &str, name: &str, options: &[&str]) -> Run {
    let folder = folder(&format!("check-{name}"));
    fs::write(folder.join("file.yaml"), text).unwrap();
    session_bearer_in(&folder, &[&["check"], options, &["file.yaml"]].concat(), &[])
}

/// The lines that tell what is to be mended.
fn findings(run: &Run) -> Vec<&str> {
    run.out.lines().filter(|line| line.contains(": error: ") || line.contains(": warning: ")).collect()
}

#[test]
fn good_files_have_nothing_to_mend() {
    for good in [Plugin, Envoy, WasmPlugin, EnvoyFilter, ExtensionPolicy] {
        let run = check(&good.text(), &format!("{good:?}"), &["--strict"]);
        assert_eq!((run.code, findings(&run)), (0, vec![]), "{good:?}: {}{}", run.out, run.err);
        assert!(run.out.ends_with("file.yaml: 1 plugin, 0 errors, 0 warnings\n"), "{}", run.out);
    }
}

/// Names of fields in Envoy's own messages, which the plugin's configuration and maps have none of.
const FIELDS: &[&str] = &[
    "allowed_capabilities",
    "capability_restriction_config",
    "common_http_protocol_options",
    "environment_variables",
    "failure_policy",
    "headers_with_underscores_action",
    "host_env_keys",
    "http_filters",
    "layered_runtime",
    "merge_slashes",
    "normalize_path",
    "path_with_escaped_slashes_action",
    "route_config",
    "static_layer",
    "static_resources",
    "type_url",
    "typed_config",
    "vm_config",
    "vm_id",
];

fn in_camel_case(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap().to_owned();
    words.fold(first, |name, word| format!("{name}{}{}", word[..1].to_uppercase(), &word[1..]))
}

#[test]
fn fields_of_envoy_have_two_spellings() {
    for (good, mistake) in [
        (Envoy, ("authority: localhost", "authority: http://localhost")),
        (EnvoyFilter, ("\"/api/auth/jwt\"", "\"jwt\"")),
    ] {
        let text = FIELDS.iter().fold(good.text(), |text, name| {
            text.replace(&format!(" {name}:"), &format!(" {}:", in_camel_case(name)))
                .replace(&format!("\n{name}:"), &format!("\n{}:", in_camel_case(name)))
        });
        assert!(text.contains("vmConfig"), "{text}");
        let run = check(&text, &format!("camel-{good:?}"), &["--strict"]);
        assert_eq!((run.code, findings(&run)), (0, vec![]), "{}{}", run.out, run.err);
        let numbered = text
            .replace(": FAIL_RELOAD", ": 1")
            .replace("SlashesAction: REJECT_REQUEST", "SlashesAction: 2")
            .replace("UnderscoresAction: REJECT_REQUEST", "UnderscoresAction: 1");
        let run = check(&numbered, &format!("numbers-{good:?}"), &["--strict"]);
        assert_eq!((run.code, findings(&run)), (0, vec![]), "{}{}", run.out, run.err);
        let run = check(&text.replacen(mistake.0, mistake.1, 1), &format!("camel-mistake-{good:?}"), &[]);
        assert_eq!(findings(&run).len(), 1, "{}{}", run.out, run.err);
    }
}

#[test]
fn each_mistake_is_told_with_its_place_its_field_and_its_mend() {
    assert!(MISTAKES.len() >= 40);
    let complaints: Vec<_> = MISTAKES.iter().enumerate().filter_map(|(i, mistake)| untold(i, mistake).err()).collect();
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

/// Makes a mistake; complains unless it is told as it should be, and nothing else is.
fn untold(number: usize, mistake: &Mistake) -> Result<(), String> {
    let (good, from, to, severity, at, path, mend) = *mistake;
    let text = good.text();
    assert!(text.contains(from), "{good:?} has no {from:?}");
    let text = text.replacen(from, to, 1);
    let run = check(&text, &format!("mistake-{number}"), &[]);
    let [told] = findings(&run)[..] else { return Err(format!("{to:?}: {}{}", run.out, run.err)) };
    let [_, line, column, rest] = told.splitn(4, ':').collect::<Vec<_>>()[..] else { panic!("{told}") };
    let (line, column): (usize, usize) = (line.parse().unwrap(), column.parse().unwrap());
    let line = text.lines().nth(line - 1).unwrap();
    let is_told = line.contains(at)
        && column <= line.chars().count()
        && rest.starts_with(&format!(" {severity}: {path}: "))
        && rest.contains(mend)
        && run.code == i32::from(severity == "error");
    if is_told { Ok(()) } else { Err(format!("{to:?}: ends with {}, told at {line:?}: {told}", run.code)) }
}

#[test]
fn every_mistake_is_told_at_once() {
    let mistakes: Vec<_> =
        MISTAKES.iter().filter(|mistake| matches!(mistake.0, Plugin) && mistake.3 == "error").collect();
    let mut text = Plugin.text();
    let mut made = Vec::new();
    for (_, from, to, _, _, path, _) in mistakes {
        // Each spoils another line.
        let is_new = text.contains(from) && from.lines().count() == to.lines().count();
        if is_new && !["credentials[1]", "cahce", "token.keys"].contains(path) && !made.contains(path) {
            text = text.replacen(from, to, 1);
            made.push(path);
        }
    }
    let run = check(&text, "at-once", &[]);
    let told = findings(&run);
    assert!(made.len() >= 15, "{made:?}");
    for path in made {
        assert!(told.iter().any(|line| line.contains(&format!(" {path}: "))), "{path}: {text}{}", run.out);
    }
}

#[test]
fn misspelled_key_is_told_and_its_value_looked_at_all_the_same() {
    let run = check(&Plugin.text().replace("timeout: 2s", "timout: 40s"), "misspelled", &[]);
    let told = findings(&run);
    assert!(
        told.len() == 2 && told.iter().all(|line| line.starts_with("file.yaml:10:3: error: exchange.tim")),
        "{told:?}"
    );
}

#[test]
fn warnings_count_when_they_are_taken_for_errors() {
    let text = Plugin.text().replace("issuer: auth-service", "required_claims: [sub]");
    for (options, code) in [(&[][..], 0), (&["--strict"][..], 1)] {
        assert_eq!(check(&text, "strict", options).code, code);
    }
}

#[test]
fn json_is_read_as_well_as_yaml() {
    let text = "{\n  \"credentials\": [{\"bearer\": {}}],\n  \"token\": {\"issuer\": \"a\", \"audiences\": [\"b\"],\n    \"keys\": {\"secret_env\": 5}}\n}";
    let run = check(text, "json", &[]);
    assert!(findings(&run)[0].starts_with("file.yaml:4:14: error: token.keys.secret_env: "), "{}", run.out);
}

#[test]
fn json_text_in_quotes_is_told_at_its_character() {
    let text = EnvoyFilter.text();
    let (before, block) = text.split_once("value: |\n").unwrap();
    let json: String = block.lines().map(str::trim).collect();
    let quoted = json.replace('"', "\\\"").replace("\\\"/api/auth/jwt\\\"", "7");
    let run = check(&format!("{before}value: \"{quoted}\"\n"), "quoted", &[]);
    let line = findings(&run)[0];
    let column: usize = line.split(':').nth(2).unwrap().parse().unwrap();
    assert!(format!("                value: \"{quoted}\"")[column - 1..].starts_with("\\\"path"), "{line}");
}

#[test]
fn configuration_on_one_long_line_is_read_once() {
    let route = |i| format!(r#"{{"match": {{"prefix": "/a{i}"}}, "auth": "off"}}"#);
    let routes: Vec<String> = (0..4600).map(route).collect();
    let text = format!(
        r#"{{"credentials": [{{"bearer": {{}}}}], "token": {{"issuer": "ä", "audiences": ["a"], "keys": {{"secret_env": "X"}}}}, "routes": [{}], "csrf": 7}}"#,
        routes.join(", ")
    );
    assert!(text.len() > 200_000, "{}", text.len());
    let run = check(&text, "long", &[]);
    // Who goes to each string from the beginning of its line passes billions of characters.
    let column = text.chars().count() - "\"csrf\": 7}".len() + 1;
    assert!(
        findings(&run)[0].starts_with(&format!("file.yaml:1:{column}: error: csrf: ")),
        "{:?}",
        findings(&run).first()
    );
}

#[test]
fn broken_json_text_is_ours_by_its_keys() {
    let text = EnvoyFilter.text().replace("session_bearer", "edge").replace("session-bearer", "edge");
    let broken = text.replacen("\"/api/auth/jwt\"", "\"/api/auth/jwt\",", 1);
    let run = check(&broken, "broken-text", &[]);
    assert!(run.code == 1 && findings(&run)[0].contains("configuration.value: not JSON"), "{}{}", run.out, run.err);
    let others =
        broken.replace("\"credentials\"", "\"my_credentials\"").replace("\"exchange\":", "\"to\": \"exchange\",");
    let run = check(&others, "broken-text-of-another", &[]);
    assert!(run.code == 2 && run.err.contains("no configuration of session-bearer"), "{}{}", run.out, run.err);
}

#[test]
fn cluster_is_looked_for_only_where_all_are_known() {
    for (options, errors) in [
        (&[][..], 0),
        (&["--cluster", "auth_service"][..], 0),
        (&["--cluster", "another"][..], 1),
        (&["--cluster", "another", "--cluster", "auth_service"][..], 0),
    ] {
        let run = check(&Plugin.text(), "clusters", options);
        assert_eq!(findings(&run).len(), errors, "{options:?}: {}", run.out);
    }
    let discovered =
        Envoy.text().replace("static_resources:", "dynamic_resources: { cds_config: {} }\nstatic_resources:");
    let run = check(
        &discovered.replace(
            "cluster: auth_service\n                      authority",
            "cluster: x\n                      authority",
        ),
        "cds",
        &[],
    );
    assert_eq!(findings(&run), Vec::<&str>::new());
}

#[test]
fn limit_may_come_from_a_layer_that_is_not_in_the_file() {
    for layer in ["disk_layer: { symlink_root: /srv }", "rtdsLayer: { name: limits }"] {
        let layer = format!("other: 1\n  - name: elsewhere\n    {layer}");
        let run = check(&Envoy.text().replace("http.async_response_buffer_limit: 65536", &layer), "layers", &[]);
        assert_eq!(findings(&run), Vec::<&str>::new(), "{layer}");
    }
}

#[test]
fn secret_is_looked_at_only_when_asked_for() {
    let folder = folder("check-secret");
    fs::write(folder.join("file.yaml"), Plugin.text()).unwrap();
    for (options, secret, code) in [
        (&[][..], None, 0),
        (&[][..], Some("hush"), 0),
        (&["--env"][..], None, 1),
        (&["--env"][..], Some("hush"), 1),
        (&["--env"][..], Some("0123456789abcdef0123456789abcdef"), 0),
    ] {
        let environment: Vec<_> = secret.map(|secret| ("JWT_SECRET", secret)).into_iter().collect();
        let run = session_bearer_in(&folder, &[&["check", "file.yaml"], options].concat(), &environment);
        assert_eq!(run.code, code, "{options:?} {secret:?}: {}", run.out);
        assert_eq!(run.out.contains("note: the secret in JWT_SECRET was not looked at"), options.is_empty());
        assert!(!run.out.contains("hush"), "{}", run.out);
    }
}

#[test]
fn several_plugins_and_files_are_checked_each() {
    let two =
        format!("{}\n---\n{}", WasmPlugin.text(), ExtensionPolicy.text().replace("failOpen: false", "failOpen: true"));
    let run = check(&two, "several", &[]);
    assert!(run.code == 1 && run.out.ends_with("2 plugins, 1 error, 0 warnings\n"), "{}", run.out);
    let run = session_bearer(&["check", "envoy/envoy.yaml", "tests/command/files/wasm-plugin.yaml"]);
    assert_eq!((run.code, run.out.matches("0 errors").count()), (0, 2));
}

#[test]
fn what_cannot_be_read_is_told_in_a_line() {
    for (text, at) in [
        ("a: \"b", "file.yaml:1:"),
        ("a: [1, 2", "file.yaml:"),
        ("a: *b", "file.yaml:1:4: "),
        ("", "file.yaml: there is no configuration of session-bearer in it"),
        ("kind: Service\nmetadata: {}", "file.yaml: there is no configuration of session-bearer in it"),
    ] {
        let run = check(text, "unreadable", &[]);
        assert_eq!((run.code, run.err.lines().count()), (2, 1), "{text:?}: {}{}", run.out, run.err);
        assert!(run.err.starts_with(at), "{text:?}: {}", run.err);
    }
    let run = session_bearer(&["check", "no-such-file"]);
    assert!(run.code == 2 && run.err.starts_with("no-such-file: "), "{}", run.err);
}

#[test]
fn document_that_unfolds_to_a_great_deal_is_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..12 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    for text in [text, "[".repeat(100_000)] {
        let run = check(&text, "unfolding", &[]);
        assert_eq!(run.code, 2, "{}{}", run.out, run.err);
    }
}
