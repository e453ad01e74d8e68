//! Chromium without a screen, led by its DevTools protocol over a pipe: JSON with a NUL behind each
//! message, so neither a port nor a WebSocket is needed.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::DEADLINE;
use crate::common::servers::missing;

/// A browser with one page; ended when dropped.
pub struct Chromium {
    child: Child,
    home: PathBuf,
    to: Option<ChildStdin>,
    from: Receiver<Value>,
    number: u64,
    /// The session of the page.
    session: Option<String>,
    /// What the console has of errors and warnings so far, and what was thrown.
    pub complaints: Vec<String>,
}

/// How a page is looked at.
#[derive(Clone, Copy)]
pub struct Screen {
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// `light` or `dark`.
    pub scheme: &'static str,
}

/// A usual one.
pub const SCREEN: Screen = Screen { width: 1440, height: 900, scheme: "light" };

impl Chromium {
    /// A page of this address, or `None` if there is no Chromium here.
    pub fn open(address: &str, screen: Screen) -> Option<Chromium> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        if missing(&["chromium"]) {
            return None;
        }
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let home = format!("pointsman-chromium-{}-{number}", std::process::id());
        let home = std::env::temp_dir().join(home);
        let profile = format!("--user-data-dir={}", home.display());
        // It reads descriptor 3 and writes descriptor 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec chromium \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "sh"])
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
            .args(["--remote-debugging-pipe", "--no-first-run", &profile, "about:blank"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let (sender, from) = channel();
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        thread::spawn(move || {
            let mut text = Vec::new();
            while let Ok(1..) = output.read_until(0, &mut text) {
                text.pop();
                let message = serde_json::from_slice(&text).expect("JSON");
                text.clear();
                if sender.send(message).is_err() {
                    return;
                }
            }
        });
        let to = child.stdin.take();
        let complaints = Vec::new();
        let mut it = Chromium { child, home, to, from, number: 0, session: None, complaints };
        it.begin(screen);
        it.go(address);
        Some(it)
    }

    fn begin(&mut self, screen: Screen) {
        let made = self.tell("Target.createTarget", &json!({"url": "about:blank"}));
        let target = json!({"targetId": made["targetId"], "flatten": true});
        let attached = self.tell("Target.attachToTarget", &target);
        self.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            self.tell(domain, &json!({}));
        }
        self.look(screen);
    }

    /// On another screen.
    pub fn look(&mut self, screen: Screen) {
        let Screen { width, height, scheme } = screen;
        let size = json!({
            "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false
        });
        self.tell("Emulation.setDeviceMetricsOverride", &size);
        let scheme = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.tell("Emulation.setEmulatedMedia", &json!({"features": scheme}));
    }

    /// Loads a page.
    pub fn go(&mut self, address: &str) {
        let gone = self.tell("Page.navigate", &json!({"url": address}));
        assert_eq!(gone["errorText"], Value::Null, "{address}");
    }

    /// A command of the protocol, and what it came to.
    pub fn tell(&mut self, method: &str, params: &Value) -> Value {
        self.number += 1;
        let mut message = json!({"id": self.number, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let to = self.to.as_mut().expect("it runs");
        to.write_all(format!("{message}\0").as_bytes()).expect("it reads");
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let message = self.from.recv_timeout(left);
            let mut message = message.unwrap_or_else(|_| panic!("no answer to {method}"));
            if message["id"] == json!(self.number) {
                assert_eq!(message["error"], Value::Null, "{method}");
                return message["result"].take();
            }
            self.note(&message);
        }
    }

    /// What the console says.
    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        let complaint = match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => &params["exceptionDetails"],
            Some("Runtime.consoleAPICalled")
                if ["error", "warning", "assert"]
                    .contains(&params["type"].as_str().unwrap()) =>
            {
                &params["args"]
            }
            Some("Log.entryAdded")
                if ["error", "warning"]
                    .contains(&params["entry"]["level"].as_str().unwrap()) =>
            {
                &params["entry"]
            }
            _ => return,
        };
        self.complaints.push(complaint.to_string());
    }

    /// What a piece of JavaScript comes to.
    pub fn run(&mut self, script: &str) -> Value {
        let params = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true
        });
        let mut told = self.tell("Runtime.evaluate", &params);
        assert_eq!(told["exceptionDetails"], Value::Null, "{script}");
        told["result"]["value"].take()
    }

    /// Waits until it comes to something true.
    #[track_caller]
    pub fn until(&mut self, script: &str) {
        let end = Instant::now() + DEADLINE;
        // A page that is not loaded yet lacks what is asked about.
        let tried = format!("(() => {{ try {{ return Boolean({script}) }} catch {{}} }})()");
        while self.run(&tried) != json!(true) {
            let text = "[document.title, document.activeElement.outerHTML.slice(0, 200), \
                        ...[...document.querySelectorAll('input')].map((it) => it.value), \
                        document.body.innerText].join('\\n')";
            assert!(Instant::now() < end, "never: {script}; {}", self.run(text));
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses a key: a character, or a name as `ArrowDown`.
    pub fn press(&mut self, key: &str) {
        let text = if key.chars().count() == 1 { key } else { "" };
        let text = if key == "Enter" { "\r" } else { text };
        let code = match key {
            "Enter" => 13,
            "Escape" => 27,
            "Tab" => 9,
            "ArrowUp" => 38,
            "ArrowDown" => 40,
            "ArrowLeft" => 37,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let params = json!({
                "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code
            });
            self.tell("Input.dispatchKeyEvent", &params);
        }
    }

    /// Presses a key for each character.
    pub fn write(&mut self, text: &str) {
        text.chars().for_each(|it| self.press(&it.to_string()));
    }

    /// What is seen, as a PNG in Base64.
    pub fn picture(&mut self) -> String {
        let told = self.tell("Page.captureScreenshot", &json!({"format": "png"}));
        told["data"].as_str().expect("a picture").to_owned()
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Without its pipe it ends, and all of its processes.
        self.to = None;
        let end = Instant::now() + Duration::from_secs(5);
        while !matches!(self.child.try_wait(), Ok(Some(_))) && Instant::now() < end {
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.home);
    }
}
