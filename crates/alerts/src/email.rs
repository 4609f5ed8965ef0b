//! E-mail over SMTP: plain text, one message for all who have not got it yet, or one for each where one is refused.

use std::time::{Duration, SystemTime};

use kit::Redaction;
use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    address::{Address, Envelope},
    message::{
        Mailbox,
        header::{ContentType, HeaderName, HeaderValue},
    },
    transport::smtp::{
        Error as SmtpError,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use crate::{
    EmailForm, Notice, Security, SmtpForm,
    attempt::{Attempt, End},
    notice,
};

/// How long the server may take to say anything.
const SILENCE_MAX: Duration = Duration::from_secs(20);
/// Events that a message shows one by one; the rest is counted.
const EVENTS_SHOWN: usize = 100;

type Transport = AsyncSmtpTransport<Tokio1Executor>;

pub(crate) async fn send(form: &EmailForm, notice: &Notice, received_by: &[String]) -> Attempt {
    let redaction = Redaction::new(form.smtp.password.iter());
    let prepared = transport(&form.smtp).and_then(|transport| Ok((transport, Mail::of(form, notice)?)));
    let (transport, mail) = match prepared {
        Ok(prepared) => prepared,
        Err(message) => {
            return Attempt { received_by: received_by.to_vec(), ..Attempt::refused(redaction.text(&message)) };
        }
    };
    let waiting: Vec<&Address> = mail.to.iter().filter(|address| !received_by.contains(&address.to_string())).collect();
    let mut received_by = received_by.to_vec();
    // One refused recipient keeps the server from taking it for the others: then each gets his own.
    let together = mail.send(&transport, &waiting).await;
    let attempt = match together {
        Ok(answer) => {
            received_by.extend(waiting.iter().map(ToString::to_string));
            Attempt::new(End::Sent, answer)
        }
        Err(error) if is_final(&error) && waiting.len() > 1 => {
            each(&transport, &mail, &waiting, &mut received_by).await
        }
        Err(error) => Attempt::new(end(&error), told(&error)),
    };
    Attempt { received_by, ..Attempt::new(attempt.end, redaction.text(&attempt.answer)) }
}

async fn each(transport: &Transport, mail: &Mail, waiting: &[&Address], received_by: &mut Vec<String>) -> Attempt {
    let mut sent = 0;
    let mut failures = Vec::new();
    let mut worst = End::Sent;
    for address in waiting {
        match mail.send(transport, std::slice::from_ref(address)).await {
            Ok(_) => {
                received_by.push(address.to_string());
                sent += 1;
            }
            Err(error) => {
                failures.push(format!("`{address}`: {}", told(&error)));
                // What may go better later decides when it is tried again.
                match end(&error) {
                    End::Refused if worst == End::Sent => worst = End::Refused,
                    End::Refused => {}
                    passing => worst = passing,
                }
            }
        }
    }
    match failures.is_empty() {
        true => Attempt::new(End::Sent, format!("taken for {sent} recipients, one after the other")),
        false => {
            let all = waiting.len();
            Attempt::new(worst, format!("taken for {sent} of {all} recipients, not for {}", failures.join("; ")))
        }
    }
}

fn transport(form: &SmtpForm) -> Result<Transport, String> {
    let security = form.security.unwrap_or_default();
    let tls = || {
        let mut parameters = TlsParameters::builder(form.host.clone());
        if let Some(pem) = &form.ca_certificate {
            let certificate = Certificate::from_pem(pem.as_bytes());
            let wrong = |_| "`smtp.ca_certificate` must be PEM text that begins with `-----BEGIN CERTIFICATE-----`";
            parameters = parameters.add_root_certificate(certificate.map_err(wrong)?);
        }
        parameters.build().map_err(|error| told(&error))
    };
    let (tls, port) = match security {
        Security::Starttls => (Tls::Required(tls()?), 587),
        Security::Tls => (Tls::Wrapper(tls()?), 465),
        Security::None => (Tls::None, 25),
    };
    let mut builder =
        Transport::builder_dangerous(&form.host).port(form.port.unwrap_or(port)).tls(tls).timeout(Some(SILENCE_MAX));
    if let (Some(username), Some(password)) = (&form.username, &form.password) {
        builder = builder.credentials(Credentials::new(username.clone(), password.clone()));
    }
    Ok(builder.build())
}

/// A message as it goes out.
struct Mail {
    from: Address,
    to: Vec<Address>,
    bytes: Vec<u8>,
}

impl Mail {
    fn of(form: &EmailForm, notice: &Notice) -> Result<Self, String> {
        let mailbox = |text: &String| {
            text.parse::<Mailbox>().map_err(|_| format!("`{text}` is not an address that e-mail can go to"))
        };
        let from = mailbox(&form.from)?;
        let to = form.to.iter().map(mailbox).collect::<Result<Vec<_>, _>>()?;
        let domain = from.email.domain().to_owned();
        let seconds = u64::try_from(notice.created_at.as_second()).unwrap_or(0);
        let mut builder = Message::builder()
            .from(from.clone())
            .subject(format!("[Outflow] {}", notice.headline()))
            .date(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds))
            // The same in every attempt, so that who gets it twice can tell.
            .message_id(Some(format!("<{}@{domain}>", notice.id)));
        // Beginning, repeats and end of one alert stand together in a reader's list.
        if let [event] = &notice.events[..] {
            builder = builder.references(format!("<{}@{domain}>", event.alert.id));
        }
        for mailbox in &to {
            builder = builder.to(mailbox.clone());
        }
        let mut message = builder
            .header(ContentType::TEXT_PLAIN)
            .body(text(notice))
            .map_err(|error| format!("the message cannot be written: {error}"))?;
        // Programs that answer mail by themselves leave it alone.
        let name = HeaderName::new_from_ascii_str("Auto-Submitted");
        message.headers_mut().insert_raw(HeaderValue::new(name, "auto-generated".to_owned()));
        let to = to.into_iter().map(|mailbox| mailbox.email).collect();
        Ok(Self { from: from.email, to, bytes: message.formatted() })
    }

    async fn send(&self, transport: &Transport, to: &[&Address]) -> Result<String, SmtpError> {
        let to: Vec<Address> = to.iter().map(|address| (*address).clone()).collect();
        let Ok(envelope) = Envelope::new(Some(self.from.clone()), to) else {
            return Ok("everybody has it already".to_owned());
        };
        let response = transport.send_raw(&envelope, &self.bytes).await?;
        let said: Vec<&str> = response.message().collect();
        Ok(format!("{} {}", response.code(), said.join(" ")))
    }
}

fn text(notice: &Notice) -> String {
    if notice.is_test {
        return "This channel works. Alerts that are sent through it come to this address.\n".to_owned();
    }
    let mut text = String::new();
    for event in notice.events.iter().take(EVENTS_SHOWN) {
        text.push_str(&format!("{}\n", notice::headline(event)));
        text.push_str(&format!("  {}\n", event.message));
        text.push_str(&format!("  {}\n", notice::circumstances(event)));
        if let Some(link) = notice.link(event) {
            text.push_str(&format!("  {link}\n"));
        }
        text.push('\n');
    }
    let more = notice.events.len().saturating_sub(EVENTS_SHOWN);
    if more > 0 {
        text.push_str(&format!("… and {more} more, which Outflow lists.\n"));
    }
    text
}

/// Whether the same message would be refused again.
fn is_final(error: &SmtpError) -> bool {
    error.is_permanent() || error.is_client()
}

fn end(error: &SmtpError) -> End {
    if is_final(error) { End::Refused } else { End::Passing(None) }
}

/// The error with what caused it.
fn told(error: &SmtpError) -> String {
    match error.status() {
        Some(code) => {
            let said = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
            format!("the server said {code} {said}").trim_end().to_owned()
        }
        None => {
            let mut said = error.to_string();
            let mut cause = std::error::Error::source(error).and_then(std::error::Error::source);
            while let Some(next) = cause {
                let text = next.to_string();
                if !said.contains(&text) {
                    said.push_str(&format!(": {text}"));
                }
                cause = next.source();
            }
            said
        }
    }
}
