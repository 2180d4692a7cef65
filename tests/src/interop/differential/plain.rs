//! Descriptions without what each relay chooses by itself: ports, keys, names of candidates.

/// The lines of each section, the first one the session's; one line that says so if there is no description.
pub(super) fn plain(description: Option<&str>) -> Vec<Vec<String>> {
    let Some(text) = description else { return vec![vec!["refused".to_owned()]] };
    let mut sections: Vec<Vec<String>> = vec![Vec::new()];
    let mut port = 0;
    for line in text.lines().map(str::trim_end).filter(|line| !line.is_empty()) {
        if let Some(media) = line.strip_prefix("m=") {
            let mut words: Vec<&str> = media.split(' ').collect();
            port = words.get(1).and_then(|port| port.parse().ok()).unwrap_or(0);
            if let Some(word) = words.get_mut(1).filter(|_| port != 0) {
                *word = "PORT";
            }
            sections.push(vec![format!("m={}", words.join(" "))]);
        } else if let Some(section) = sections.last_mut() {
            section.push(attribute(line, port));
        }
    }
    sections
}

fn attribute(line: &str, port: u16) -> String {
    let Some((name, value)) = line.split_once(':') else { return line.to_owned() };
    let from = |text: &str| match text.parse::<u16>() {
        Ok(number) if (port..=port.saturating_add(1)).contains(&number) => {
            format!("PORT+{}", number - port)
        }
        _ => text.to_owned(),
    };
    let words: Vec<&str> = value.split(' ').collect();
    match (name, &words[..]) {
        ("a=rtcp", [number, rest @ ..]) => {
            [&[format!("a=rtcp:{}", from(number))], &owned(rest)[..]].concat().join(" ")
        }
        ("a=candidate", [_, component, transport, _, address, number, rest @ ..]) => {
            let transport = transport.to_ascii_uppercase();
            let known = [format!("a=candidate:{component} {transport} {address} {}", from(number))];
            [&known, &owned(rest)[..]].concat().join(" ")
        }
        ("a=crypto", [tag, suite, _, rest @ ..]) => {
            [&[format!("a=crypto:{tag} {suite} KEY")], &owned(rest)[..]].concat().join(" ")
        }
        ("a=ice-ufrag" | "a=ice-pwd" | "a=tls-id", _) => name.to_owned(),
        ("a=fingerprint", [hash, ..]) => format!("{name}:{hash}"),
        _ => line.to_owned(),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
