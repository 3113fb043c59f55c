//! A page as a browser without scripts sees it: its forms and its links.

use url::Url;

/// A page of HTML.
#[derive(Debug, Clone)]
pub struct Page {
    html: String,
}

/// A form of a page.
#[derive(Debug, Clone)]
pub struct Form {
    /// `GET` or `POST`.
    pub method: String,
    /// Where it is sent, as written in the page; empty means the page's own address.
    pub action: String,
    /// Names and values of its inputs, in their order.
    pub fields: Vec<(String, String)>,
}

impl Page {
    /// A page from its source.
    #[must_use]
    pub fn new(html: String) -> Self {
        Self { html }
    }

    /// The source.
    #[must_use]
    pub fn html(&self) -> &str {
        &self.html
    }

    /// The forms of the page.
    #[must_use]
    pub fn forms(&self) -> Vec<Form> {
        let mut forms = Vec::new();
        let mut rest = self.html.as_str();
        while let Some((attributes, after)) = next_tag(rest, "form") {
            let (inside, after) = after.split_once("</form").unwrap_or((after, ""));
            forms.push(Form {
                method: attribute(attributes, "method")
                    .unwrap_or_else(|| "get".to_owned())
                    .to_ascii_uppercase(),
                action: attribute(attributes, "action").unwrap_or_default(),
                fields: fields(inside),
            });
            rest = after;
        }
        forms
    }

    /// The targets of all links (`href`), entities resolved.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let mut links = Vec::new();
        let mut rest = self.html.as_str();
        while let Some((attributes, after)) = next_tag(rest, "a") {
            links.extend(attribute(attributes, "href"));
            rest = after;
        }
        links
    }

    /// The value of an attribute wherever in the page it stands first.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        attribute(&self.html, name)
    }
}

impl Form {
    /// The form with one field set, as a person fills it in.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        match self.fields.iter_mut().find(|(given, _)| given == name) {
            Some(field) => field.1 = value.to_owned(),
            None => self.fields.push((name.to_owned(), value.to_owned())),
        }
        self
    }

    /// The address that the form is sent to, on a page at `page`.
    ///
    /// # Panics
    ///
    /// When the action is no address.
    #[must_use]
    #[track_caller]
    pub fn target(&self, page: &Url) -> Url {
        if self.action.is_empty() {
            return page.clone();
        }
        page.join(&self.action).unwrap_or_else(|_| panic!("no address: {}", self.action))
    }
}

fn fields(html: &str) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut rest = html;
    while let Some((attributes, after)) =
        [next_tag(rest, "input"), next_tag(rest, "button"), next_tag(rest, "select")]
            .into_iter()
            .flatten()
            .max_by_key(|(_, after)| after.len())
    {
        if let Some(name) = attribute(attributes, "name") {
            fields.push((name, attribute(attributes, "value").unwrap_or_default()));
        }
        rest = after;
    }
    fields
}

/// The next tag of a name: its attributes, and what follows it.
fn next_tag<'a>(html: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let open = format!("<{name}");
    let mut rest = html;
    loop {
        let (_, after) = rest.split_once(open.as_str())?;
        if after.starts_with(|next: char| next.is_whitespace() || next == '>' || next == '/') {
            return after.split_once('>');
        }
        rest = after;
    }
}

fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    let open = format!("{name}=\"");
    loop {
        let (before, after) = rest.split_once(open.as_str())?;
        let (value, after) = after.split_once('"')?;
        if before.is_empty() || before.ends_with(char::is_whitespace) {
            return Some(unescape(value));
        }
        rest = after;
    }
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"")
        .replace("&#34;", "\"")
        .replace("&#x27;", "'")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&#60;", "<")
        .replace("&gt;", ">")
        .replace("&#62;", ">")
        .replace("&#x2f;", "/")
        .replace("&amp;", "&")
        .replace("&#38;", "&")
}

#[cfg(test)]
mod tests {
    use super::Page;

    #[test]
    fn a_form_is_read_as_a_browser_reads_it() {
        let page = Page::new(
            r#"<form method="post" action="/x?a=1&amp;b=2"><input type="hidden" name="s" value="&#34;v&#34;">
            <input name="platform_url"><button name="go" value="1">Go</button></form><a href="/y">y</a>"#
                .to_owned(),
        );
        let forms = page.forms();
        assert_eq!(forms.len(), 1);
        assert_eq!(forms[0].method, "POST");
        assert_eq!(forms[0].action, "/x?a=1&b=2");
        let expected = [("s", "\"v\""), ("platform_url", ""), ("go", "1")];
        assert_eq!(
            forms[0].fields,
            expected.map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert_eq!(page.links(), ["/y"]);
    }
}
