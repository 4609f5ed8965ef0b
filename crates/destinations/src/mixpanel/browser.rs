//! The browser and its version, as a user agent tells them.

/// How a browser is told by its user agent, the first that fits; the parts stand before the version, if it has one.
struct Browser {
    name: &'static str,
    is: fn(&str) -> bool,
    version_after: &'static [&'static str],
}

const BROWSERS: [Browser; 19] = [
    Browser { name: "Opera Mini", is: |agent| agent.contains(" OPR/") && agent.contains("Mini"), version_after: &[] },
    Browser { name: "Opera", is: |agent| agent.contains(" OPR/"), version_after: &["Opera/", "OPR/"] },
    Browser { name: "BlackBerry", is: is_blackberry, version_after: &["BlackBerry "] },
    Browser {
        name: "Internet Explorer Mobile",
        is: |agent| agent.contains("IEMobile") || agent.contains("WPDesktop"),
        version_after: &["rv:"],
    },
    Browser {
        name: "Samsung Internet",
        is: |agent| agent.contains("SamsungBrowser/"),
        version_after: &["SamsungBrowser/"],
    },
    Browser {
        name: "Microsoft Edge",
        is: |agent| agent.contains("Edge") || agent.contains("Edg/"),
        version_after: &["Edge/", "Edg/"],
    },
    Browser { name: "Facebook Mobile", is: |agent| agent.contains("FBIOS"), version_after: &[] },
    Browser { name: "Chrome", is: |agent| agent.contains("Chrome"), version_after: &["Chrome/"] },
    Browser { name: "Chrome iOS", is: |agent| agent.contains("CriOS"), version_after: &["CriOS/"] },
    Browser {
        name: "UC Browser",
        is: |agent| agent.contains("UCWEB") || agent.contains("UCBrowser"),
        version_after: &["UCBrowser/", "UCWEB/"],
    },
    Browser { name: "Firefox iOS", is: |agent| agent.contains("FxiOS"), version_after: &["FxiOS/"] },
    Browser {
        name: "Mobile Safari",
        is: |agent| agent.contains("Safari") && agent.contains("iPhone"),
        version_after: &["Version/"],
    },
    Browser { name: "Safari", is: |agent| agent.contains("Safari"), version_after: &["Version/"] },
    Browser {
        name: "Android Mobile",
        is: |agent| agent.contains("Android"),
        version_after: &["android ", "android\t", "android\u{a0}"],
    },
    Browser { name: "Konqueror", is: |agent| agent.contains("Konqueror"), version_after: &["Konqueror:"] },
    Browser { name: "Firefox", is: |agent| agent.contains("Firefox"), version_after: &["Firefox/"] },
    Browser {
        name: "Internet Explorer",
        is: |agent| agent.contains("MSIE") || agent.contains("Trident/"),
        version_after: &["rv:", "MSIE "],
    },
    Browser { name: "Mozilla", is: |agent| agent.contains("Gecko"), version_after: &["rv:"] },
    Browser { name: "", is: |_| true, version_after: &[] },
];

fn is_blackberry(agent: &str) -> bool {
    let lower = agent.to_ascii_lowercase();
    ["blackberry", "playbook", "bb10"].iter().any(|word| lower.contains(word))
}

/// The name of the browser, empty if it is not known, and its version if the user agent tells it.
pub(super) fn browser(agent: &str) -> (&'static str, Option<&str>) {
    let Some(browser) = BROWSERS.iter().find(|browser| (browser.is)(agent)) else { return ("", None) };
    (browser.name, version(agent, browser.version_after))
}

/// The first version, two numbers or more with dots between them, right after one of those parts.
fn version<'a>(agent: &'a str, after: &[&str]) -> Option<&'a str> {
    agent.char_indices().find_map(|(place, _)| {
        let rest = &agent[place..];
        after.iter().find_map(|part| dotted(rest.strip_prefix(part)?))
    })
}

/// The numbers with dots between them that a text begins with, if there are two or more.
fn dotted(text: &str) -> Option<&str> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let mut end = digits(text);
    if end == 0 {
        return None;
    }
    let mut numbers = 1;
    while let Some(rest) = text[end..].strip_prefix('.') {
        let more = digits(rest);
        if more == 0 {
            break;
        }
        end += 1 + more;
        numbers += 1;
    }
    (numbers > 1).then(|| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::browser;

    #[test]
    fn browsers_are_told_by_their_user_agents() {
        let check =
            |agent: &str, name: &str, version: Option<&str>| assert_eq!(browser(agent), (name, version), "{agent}");
        let mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)";
        check(&format!("{mac} AppleWebKit/605.1.15 Version/17.4 Safari/605.1.15"), "Safari", Some("17.4"));
        check(&format!("{mac} Chrome/120.0.6099.109 Safari/537.36"), "Chrome", Some("120.0.6099.109"));
        check(
            &format!("{mac} Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.61"),
            "Microsoft Edge",
            Some("120.0.2210.61"),
        );
        check(&format!("{mac} Chrome/120.0.0.0 Safari/537.36 OPR/106.0"), "Opera", Some("106.0"));
        check(&format!("{mac} OPR/106.0 Mini"), "Opera Mini", None);
        check("Mozilla/5.0 (iPhone) Version/16.1.2 Mobile Safari/604.1", "Mobile Safari", Some("16.1.2"));
        check("Mozilla/5.0 (iPhone) CriOS/119.0 Mobile Safari/604.1", "Chrome iOS", Some("119.0"));
        check("Mozilla/5.0 (iPhone) FxiOS/8.1 Mobile Safari/604.1", "Firefox iOS", Some("8.1"));
        check("Mozilla/5.0 (X11; rv:121.0) Gecko/20100101 Firefox/121.0", "Firefox", Some("121.0"));
        check("Mozilla/5.0 (X11) Gecko Firefox/121", "Firefox", None);
        check("Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko", "Internet Explorer", Some("11.0"));
        check("Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 5.1)", "Internet Explorer", Some("8.0"));
        check("Mozilla/5.0 (BB10; Touch) Version/10.2", "BlackBerry", None);
        check("UCWEB/2.0 (Linux) U2/1.0 UCBrowser/9.4.1 Mobile", "UC Browser", Some("2.0"));
        check("Mozilla/5.0 (Linux; U; Android 2.3) AppleWebKit", "Android Mobile", None);
        check("Mozilla/5.0 (Linux) SamsungBrowser/23.0 Chrome/115.0 Safari/537.36", "Samsung Internet", Some("23.0"));
        check("Mozilla/5.0 (X11; rv:1.9) Gecko", "Mozilla", Some("1.9"));
        check("curl/8.4.0", "", None);
    }
}
