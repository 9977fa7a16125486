//! Headless Chromium by its DevTools protocol over a pipe: JSON between zero bytes, without a socket or a
//! driver program. The pipe's ends are file descriptors 3 and 4 of the browser; a shell opens two named pipes
//! as these.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    to: File,
    from: BufReader<File>,
    session: String,
    next: u64,
    events: RefCell<Vec<Value>>,
}

fn find() -> Option<&'static str> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| {
        Command::new(name)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    })
}

impl Browser {
    /// Starts a browser that keeps its profile in `folder`. Without Chromium, prints a line and returns
    /// `None`.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        if cfg!(not(unix)) {
            eprintln!("skipped: the browser's pipe needs named pipes");
            return None;
        }
        let Some(name) = find() else {
            eprintln!("skipped: no Chromium is installed (apt-get install chromium)");
            return None;
        };
        let (to, from) = (folder.join("to"), folder.join("from"));
        let made = Command::new("mkfifo").args([&to, &from]).status();
        assert!(made.is_ok_and(|status| status.success()), "mkfifo");
        let child = Command::new("sh")
            .arg("-c")
            .arg(
                "exec \"$1\" --headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
                 --disable-background-networking --disable-component-update --disable-sync \
                 --disable-dev-shm-usage --user-data-dir=\"$2\" --remote-debugging-pipe about:blank \
                 3<\"$3\" 4>\"$4\"",
            )
            .args(["sh", name])
            .arg(folder.join("profile"))
            .args([&to, &from])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let to = File::options().write(true).open(to).unwrap();
        let from = BufReader::new(File::open(from).unwrap());
        let events = RefCell::default();
        let mut browser = Self { child, to, from, session: String::new(), next: 0, events };
        let target = browser.send("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = browser.send(
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        browser.session = attached["sessionId"].as_str().unwrap().into();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.send(&format!("{domain}.enable"), json!({}));
        }
        browser.send(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": 1280, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
        );
        Some(browser)
    }

    fn read(&mut self) -> Value {
        let mut bytes = Vec::new();
        self.from.read_until(0, &mut bytes).unwrap();
        assert_eq!(bytes.pop(), Some(0), "the browser has ended");
        serde_json::from_slice(&bytes).unwrap()
    }

    fn send(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        self.to.write_all(format!("{message}\0").as_bytes()).unwrap();
        loop {
            let answer = self.read();
            if answer["id"] == json!(id) {
                assert!(answer.get("error").is_none(), "{method}: {answer}");
                return answer["result"].clone();
            }
            self.events.borrow_mut().push(answer);
        }
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn go(&mut self, file: &Path) {
        self.go_to(file, "");
    }

    /// Opens a file anew, with a fragment in its address, and waits until it is loaded.
    pub(crate) fn go_to(&mut self, file: &Path, fragment: &str) {
        // From one fragment to another of the same file would not load it.
        self.send("Page.navigate", json!({ "url": "about:blank" }));
        self.send("Page.navigate", json!({ "url": url(file) + fragment }));
        self.wait("location.protocol === 'file:' && document.readyState === 'complete'");
    }

    /// Waits until a condition of the page is true.
    pub(crate) fn wait(&mut self, condition: &str) {
        while self.evaluate(condition) != true {}
    }

    /// The value of an expression in the page.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let result = self.send(
            "Runtime.evaluate",
            json!({ "expression": expression, "returnByValue": true, "userGesture": true }),
        );
        assert!(result.get("exceptionDetails").is_none(), "{expression}: {result}");
        result["result"]["value"].clone()
    }

    /// Scrolls to an element and clicks in its middle.
    pub(crate) fn click(&mut self, selector: &str) {
        let at = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({selector:?}); \
             e.scrollIntoView({{ block: 'center' }}); const r = e.getBoundingClientRect(); \
             return [r.x + r.width / 2, r.y + r.height / 2]; }})()"
        ));
        for kind in ["mousePressed", "mouseReleased"] {
            self.send(
                "Input.dispatchMouseEvent",
                json!({ "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1 }),
            );
        }
    }

    /// Types into the focused element.
    pub(crate) fn type_text(&mut self, text: &str) {
        self.send("Input.insertText", json!({ "text": text }));
    }

    /// Presses a key.
    pub(crate) fn key(&mut self, key: &str) {
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            _ => 0,
        };
        let text = if key == "Enter" { "\r" } else { "" };
        let down = json!({ "type": "keyDown", "key": key, "code": key, "text": text,
                           "windowsVirtualKeyCode": code });
        self.send("Input.dispatchKeyEvent", down);
        self.send("Input.dispatchKeyEvent", json!({ "type": "keyUp", "key": key, "code": key }));
    }

    /// Sets the width of the window.
    pub(crate) fn set_width(&mut self, width: u32) {
        self.send(
            "Emulation.setDeviceMetricsOverride",
            json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false }),
        );
    }

    /// Sets the system's theme to dark.
    pub(crate) fn emulate_dark(&mut self) {
        let features = json!([{ "name": "prefers-color-scheme", "value": "dark" }]);
        self.send("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// Sets the page's style to that of paper.
    pub(crate) fn emulate_print(&mut self) {
        self.send("Emulation.setEmulatedMedia", json!({ "media": "print" }));
    }

    /// Saves a picture of the whole page in the folder that `VERIFIER_SCREENSHOTS` names, if it is set.
    pub(crate) fn shot(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("VERIFIER_SCREENSHOTS").map(PathBuf::from) else {
            return;
        };
        let shot = self.send(
            "Page.captureScreenshot",
            json!({ "format": "png", "captureBeyondViewport": true }),
        );
        keep(&folder.join(format!("{name}.png")), &shot);
    }

    /// Saves the page as it is printed, in the same folder.
    pub(crate) fn print(&mut self, name: &str) {
        let printed = self.send("Page.printToPDF", json!({ "preferCSSPageSize": true }));
        if let Some(folder) = std::env::var_os("VERIFIER_SCREENSHOTS").map(PathBuf::from) {
            keep(&folder.join(format!("{name}.pdf")), &printed);
        }
    }

    /// Only the file itself was requested, no error was reported, and no dialog was opened.
    pub(crate) fn assert_quiet(&mut self, file: &Path) {
        self.evaluate("1");
        let own = url(file);
        for event in self.events.borrow().iter() {
            let params = &event["params"];
            match event["method"].as_str().unwrap_or_default() {
                "Network.requestWillBeSent" => {
                    let asked = params["request"]["url"].as_str().unwrap_or_default();
                    assert!(
                        asked == own || asked == "about:blank" || asked.starts_with("data:"),
                        "request for {asked}"
                    );
                }
                "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => panic!("{event}"),
                "Runtime.consoleAPICalled" => panic!("console: {event}"),
                "Log.entryAdded" => {
                    assert_ne!(params["entry"]["level"], "error", "{event}");
                }
                _ => {}
            }
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn url(file: &Path) -> String {
    format!("file://{}", file.display())
}

fn keep(path: &Path, data: &Value) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, decode(data["data"].as_str().unwrap())).unwrap();
}

fn decode(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let mut out = Vec::new();
    for chunk in text.trim_end_matches('=').as_bytes().chunks(4) {
        let word = chunk.iter().fold(0u32, |word, &c| word << 6 | u32::from(digit(c)))
            << (6 * (4 - chunk.len()));
        out.extend(&word.to_be_bytes()[1..chunk.len()]);
    }
    out
}
