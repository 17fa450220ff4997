//! What lies in `deploy/` works as it is.

use std::path::Path;

#[test]
fn the_example_configuration_is_taken() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/media-gateway.toml");
    let config = gateway::config::Config::load(&path, None).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(config.instance, "main");
    assert_eq!(config.trunks.len(), 2);
}

#[test]
fn the_unit_starts_what_the_command_line_offers() {
    let unit =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/media-gateway.service"));
    let unit = unit.unwrap();
    let value = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(key))
            .unwrap_or_else(|| panic!("{key}"))
    };
    assert_eq!(
        value("ExecStart="),
        "/usr/bin/media-gateway serve --config /etc/media-gateway/media-gateway.toml"
    );
    // Status 2 is usage or configuration: no restart heals it.
    assert_eq!(value("RestartPreventExitStatus="), "2");
}
