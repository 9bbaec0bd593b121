//! The kinds of lines that mean something: each has a MESSAGE_ID by which the journal finds all of its kind and explains it
//! (`journalctl -x`). The catalogue of explanations, systemd/whyd.catalog, is generated from here.

use std::fmt::Write as _;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $id:literal $subject:literal $text:literal;)*) => {
        /// A kind of line. Ids never change and are never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl Kind {
            pub const ALL: &'static [Kind] = &[$(Kind::$variant,)*];

            /// 128 random bits in hexadecimal (sd-id128(3)), as the field MESSAGE_ID has them.
            pub const fn message_id(self) -> &'static str {
                match self { $(Kind::$variant => $id,)* }
            }

            /// One line; `@FIELD@` stands for a field of the entry.
            const fn subject(self) -> &'static str {
                match self { $(Kind::$variant => $subject,)* }
            }

            const fn text(self) -> &'static str {
                match self { $(Kind::$variant => $text,)* }
            }
        }
    };
}

kinds! {
    /// A dependency fails now, or fails by another cause than before.
    DependencyFailing "eca7119aa5c747be831c5f4635659824" "@DEPENDENCY@ is failing: @CAUSE@"
"An operation against @DEPENDENCY@ (@TARGET_URL@) failed in the phase @PHASE@.
The failure was @SPEED@: a fast one is a misconfiguration or a dead process, a slow
one is overload or a black hole. The fault is most likely on this side: @FAULT@.

What to do: @FIX@

What the cause means, how it is told and what it is mistaken for:
    whyd explain @CAUSE@
Ask it again now, with all evidence:
    whyd check @TARGET_URL@";
    /// A dependency that failed works again.
    DependencyRecovered "e3544a885b234d548cf9f8e8786cd710" "@DEPENDENCY@ works again"
"It had failed for @FAILED_FOR@ s by @PREVIOUS_CAUSE@. Nothing is to be done.";
    /// The first verdict about a dependency is good.
    DependencyWorks "1f74536821ac47cca9d6d38b4a6c5e94" "@DEPENDENCY@ works"
"The first operation against it since the start was answered. Nothing is to be done.";
    /// Nothing can be said of a dependency any more.
    DependencyUnknown "02ec681eaf254f08b106752255ff3d5a" "Nothing can be said of @DEPENDENCY@ any more"
"Its operations are inconclusive: the trouble is on this side (offline, out of file
descriptors). It counts neither as failing nor as working until that is over.";
    /// An alert was raised.
    AlertRaised "b9f7c9e0361f495695fb97eaa45b2c30" "Alert @ALERT@ (@SEVERITY@) is raised: @DEPENDENCY@@HOST@"
"@DESCRIPTION@

What to do: @FIX@

Why it fires, with the numbers compared:
    whyd alerts @DEPENDENCY@
Tell nobody for two hours:
    whyd silence add dependency=@DEPENDENCY@ --for 2h --reason TEXT";
    /// An alert is over.
    AlertOver "93993b115112417b9305e97dd7df09ce" "Alert @ALERT@ is over: @DEPENDENCY@@HOST@"
"It was raised for @RAISED_FOR@ s and ended because: @BECAUSE@. Nothing is to be done.";
    /// A receiver does not take notifications; they are tried again.
    NotificationFailing "6e860a97446e40b69ed2c2a799626414" "@RECEIVER@ does not take notifications"
"The notification is kept and tried again until it is taken or expires:
    @ERROR@
Try the receiver:
    whyd alerts test @RECEIVER@ --config /etc/whyd/whyd.yaml";
    /// A notification expired: nobody was told.
    NotificationLost "7ee13707d9294d61a5b759f605f93166" "@RECEIVER@ was never told and will not be"
"The notification was not taken before it expired, or its receiver left the configuration:
    @ERROR@
Look for what else is open: whyd incidents";
    /// We are offline.
    Offline "b19eafece28c45879b7a9f4ea7e23e76" "This host is offline: no verdicts are given"
"Nothing beyond this host can be seen (@BECAUSE@), so that no dependency is blamed and no
alert is raised about one. Look at links, routes and the anchors of `vantage`.";
    /// We see again.
    Online "b2d2b85a65194fa091de6cbf68b0d4ea" "This host sees again"
"It was offline for @OFFLINE_FOR@ s. Verdicts are given again.";
    /// Descriptors or ports run out.
    ResourcesLow "9734b1ff533745a48f8ee2475e059237" "File descriptors or local ports run out"
"Fewer operations run at once, so that verdicts come late. For descriptors raise LimitNOFILE
in a drop-in (systemctl edit whyd); for ports reuse connections (keepalive: {reuse: true}) or
widen net.ipv4.ip_local_port_range.";
    /// Enough of both is left again.
    ResourcesEnough "0808d0d1799a4dfaa6b12db7868df44b" "Enough file descriptors and local ports are left again"
"Nothing is held back any more.";
    /// Scheduled operations were left out.
    OperationsLeftOut "570e95f7244641d588e9b439201c8892" "@COUNT@ scheduled operations of @DEPENDENCY@ were left out"
"The reason is @REASON@. still_running: an operation takes longer than its interval; late: this
host was suspended or overloaded; saturated: a concurrency limit was reached.";
    /// The service has started.
    Started "c0bce4d9cc794eb6ae0db40f72f35291" "whyd has started"
"@COUNT@ dependencies are watched. What it says of them: journalctl -u whyd; at present:
systemctl status whyd, and http://127.0.0.1:9477/ unless listen: says otherwise.";
    /// The service stops.
    Stopping "99c817b124b44116b04dba70625a5519" "whyd stops"
"What is under way may end, and what waits to be told is told or kept for the next start. It
takes 10 s at most.";
    /// A configuration was read again and is in force.
    Reloaded "5ffd44662a114733999139aaa0d74d09" "The configuration was read again"
"It is in force now. Alert states of dependencies that did not change are kept.";
    /// A configuration was read again and refused.
    ReloadRefused "b979e2f8187c4721b41e05d76a664a5d" "The new configuration was refused"
"The old one stays in force until a good one is read, and an alert is raised after a while.
    @REASON@
Everything that is wrong, with its place:
    whyd validate @PATH@
Then: systemctl reload whyd";
}

/// systemd/whyd.catalog, in the format of <https://systemd.io/CATALOG>.
pub fn catalogue() -> String {
    let mut text = String::from(
        "# What journalctl -x says about the lines of whyd. Generated from the source; do not edit by hand.\n\
         # Fields that a line lacks are left empty by journalctl.\n",
    );
    for kind in Kind::ALL {
        let _ = write!(
            text,
            "\n-- {}\nSubject: {}\nDefined-By: whyd\nSupport: {}\nDocumentation: man:whyd(1)\n\n{}\n",
            kind.message_id(),
            kind.subject(),
            env!("CARGO_PKG_REPOSITORY"),
            kind.text(),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::golden::assert_current;
    use std::collections::BTreeSet;

    #[test]
    fn the_catalogue_that_is_shipped_is_current() {
        assert_current("systemd/whyd.catalog", &catalogue());
    }

    #[test]
    fn every_kind_has_an_id_of_its_own() {
        let ids: BTreeSet<_> = Kind::ALL.iter().map(|kind| kind.message_id()).collect();
        assert_eq!(ids.len(), Kind::ALL.len());
        for id in ids {
            assert_eq!(id.len(), 32, "{id}");
            assert!(
                id.bytes()
                    .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)),
                "{id}"
            );
        }
    }
}
