//! dns_srv: records come, go and cannot be had.

use crate::harness::{Daemon, Files};
use crate::stand_ins::Nameserver;
use crate::{source, watched};

#[tokio::test]
async fn records_are_followed_and_kept_while_nobody_answers() {
    let (files, nameserver) = (Files::new(), Nameserver::default());
    nameserver.say(Some(&[("one.example.com.", 389), ("two.example.com.", 389)]));
    let address = nameserver.start().await;
    let path = files.config(&format!(
        "discovery:\n- name: ldap\n  dns_srv: {{names: [_ldap._tcp.example.com], refresh: 1s, servers: ['{address}']}}\n  \
         url: 'ldap://{{{{ target }}}}'\n  dependency_name: 'ldap {{{{ host }}}}'\n  linger: 0s\n  dependency: {{interval: 1h}}\n"
    ));
    let daemon = Daemon::start(&path).await;
    let list = watched(&daemon, &["ldap one.example.com", "ldap two.example.com"]).await;
    assert_eq!(list[0]["target"], "ldap://one.example.com:389", "{list:?}");
    assert_eq!(list[0]["source"]["place"], "SRV _ldap._tcp.example.com");

    nameserver.say(None);
    source(&daemon, "ldap", |one| one["state"] == "failing").await;
    watched(&daemon, &["ldap one.example.com", "ldap two.example.com"]).await;

    nameserver.say(Some(&[("two.example.com.", 389), ("three.example.com.", 636)]));
    watched(&daemon, &["ldap three.example.com", "ldap two.example.com"]).await;

    // RFC 2782: a target of "." says that there is decidedly none.
    nameserver.say(Some(&[(".", 0)]));
    watched(&daemon, &[]).await;
    daemon.stop().await;
}
