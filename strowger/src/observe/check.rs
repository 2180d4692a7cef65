//! `GET /check`: whether this process can do its work.

use std::fmt::Write;

use super::survey::Answers;

/// Whether all functions answer and every Diameter application that they need has an open peer; and
/// a line for each function, application and peer. The first line tells the result.
pub fn text(answers: &Answers) -> (bool, String) {
    let mut down = Vec::new();
    let mut lines = String::new();
    let word = |up: bool| if up { "up" } else { "down" };
    for (role, answer) in answers {
        let answers = answer.census.is_some();
        let _ = writeln!(lines, "{role} {}", word(answers));
        if !answers {
            down.push(format!("{role} does not answer"));
        }
        let Some(diameter) = &answer.diameter else { continue };
        for (id, up) in &diameter.applications {
            let name = application(*id);
            let _ = writeln!(lines, "{role} application {name} {}", word(*up));
            if !up {
                down.push(format!("{role} has no Diameter peer for {name}"));
            }
        }
        for peer in &diameter.peers {
            let host = ladder::dissect::plain(&peer.host);
            let _ = writeln!(lines, "{role} peer {host} {}", word(peer.up));
        }
    }
    match down.is_empty() {
        true => (true, format!("ok\n{lines}")),
        false => (false, format!("down: {}\n{lines}", down.join(", "))),
    }
}

/// The name of a Diameter application, its number if it has none here.
pub(super) fn application(id: u32) -> String {
    match id {
        diameter::cx::APPLICATION => "Cx".to_owned(),
        id => id.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Answer;
    use super::*;
    use base::census::Census;
    use diameter::node::status::{PeerStatus, Status};

    fn with(applications: Vec<(u32, bool)>, up: bool) -> Answer {
        let peers = vec![PeerStatus { host: "hss.example".to_owned(), up }];
        let diameter = Some(Status { applications, peers });
        Answer { census: Some(Census::default()), diameter, ..Answer::default() }
    }

    #[test]
    fn every_needed_application_must_have_a_peer() {
        let cx = diameter::cx::APPLICATION;
        let media = Answer { census: Some(Census::default()), ..Answer::default() };
        let good = vec![("media", media), ("scscf", with(vec![(cx, true)], true))];
        let expected =
            "ok\nmedia up\nscscf up\nscscf application Cx up\nscscf peer hss.example up\n";
        assert_eq!(text(&good), (true, expected.to_owned()));
        let bad = vec![("scscf", with(vec![(cx, false)], false))];
        let (ok, said) = text(&bad);
        assert!(!ok && said.starts_with("down: scscf has no Diameter peer for Cx\n"), "{said}");
        // Whoever once came to an HSS and went is no fault of this process.
        assert!(text(&vec![("hss", with(Vec::new(), false))]).0);
        let (ok, said) = text(&vec![("hss", Answer::default())]);
        assert!(!ok && said == "down: hss does not answer\nhss down\n", "{said}");
    }
}
