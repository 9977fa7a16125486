//! The file around a page: head, security policy, style, script.

use std::io;

use sha2::{Digest as _, Sha256};
use verifier_core::render::escape_html;

use super::html::{base64, inert_json};
use crate::overwrite::OutputKind;

const STYLE: &str = concat!(include_str!("report.css"), include_str!("paper_and_phone.css"));

/// Parts of the script, in the order in which they need each other. They share one scope.
const SCRIPT: &str = concat!(
    "\"use strict\";\n(() => {\n",
    include_str!("js/base.js"),
    include_str!("js/data.js"),
    include_str!("js/state.js"),
    include_str!("js/groups.js"),
    include_str!("js/table.js"),
    include_str!("js/tree.js"),
    include_str!("js/flame.js"),
    include_str!("js/sizes.js"),
    include_str!("js/page.js"),
    "})();\n"
);

/// A page.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    pub(super) subtitle: &'a str,
    /// Sections and their names.
    pub(super) links: &'a [(&'a str, &'a str)],
    /// The sections.
    pub(super) body: &'a str,
    /// The data of the script, as JSON.
    pub(super) data: &'a str,
}

impl Page<'_> {
    /// Writes the page.
    ///
    /// # Errors
    /// Those of the writer.
    pub(super) fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        // A browser hashes text with plain line ends, whatever line ends the file has.
        let (style, script) = (format!("\n{STYLE}").replace('\r', ""), SCRIPT.replace('\r', ""));
        let hash = |text: &str| base64(&Sha256::digest(text.as_bytes()));
        let (style_hash, script_hash) = (hash(&style), hash(&script));
        let (title, subtitle) = (escape_html(self.title), escape_html(self.subtitle));
        let mark = OutputKind::Report.mark();
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
             img-src data:; style-src 'sha256-{style_hash}'; script-src 'sha256-{script_hash}'; \
             base-uri 'none'; form-action 'none'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"referrer\" content=\"no-referrer\">\n{mark}\n\
             <link rel=\"icon\" href=\"data:,\">\n\
             <title>{title} – Driver Verifier report</title>\n<style>{style}</style>\n</head>\n\
             <body>\n<a class=\"jump\" href=\"#main\">To the content</a>\n<header><h1>{title}</h1>\
             <p>{subtitle}</p><nav aria-label=\"Sections\">"
        )?;
        for (id, text) in self.links {
            write!(out, "<a href=\"#{id}\">{text}</a> ")?;
        }
        write!(
            out,
            "<button type=\"button\" id=\"theme\" hidden>Dark</button></nav></header>\n\
             <main id=\"main\" tabindex=\"-1\">\n{}</main>\n\
             <script type=\"application/json\" id=\"data\">{}</script>\n<script>{script}</script>\n\
             </body>\n</html>\n",
            self.body,
            inert_json(self.data)
        )
    }
}

/// The table of groups, which the script fills, and what selects its rows.
pub(super) const GROUPS: &str = r##"<section id="groups"><h2>Groups</h2>
<noscript><p class="note">This table and the pictures need the script of this page.</p></noscript>
<form id="filter-form" role="search" hidden>
<fieldset class="segments" id="by"><legend>Group by</legend></fieldset>
<label class="field">Filter <input id="filter" type="search" placeholder="function, file, tag, address" autocomplete="off" spellcheck="false"></label>
<label class="field">Driver <select id="driver-filter"><option value="">all</option></select></label>
<label class="field">Tag <select id="tag-filter"><option value="">all</option></select></label>
<button type="button" id="clear" hidden>Clear filter and zoom</button>
</form>
<p id="zoomed" class="zoomed" hidden></p>
<p class="bar"><output id="shown" aria-live="polite"></output> <button type="button" id="all" hidden>Open or close all</button></p>
<a class="jump" href="#flame">Past the table</a>
<p class="print" id="printed"></p>
<div class="scroll"><table id="leaks" role="table" hidden><thead role="rowgroup"></thead><tbody role="rowgroup"></tbody></table></div>
<p><button type="button" id="more" hidden>Show more</button></p>
"##;

/// The flame graph, which the script draws.
pub(super) const FLAME: &str = r#"<section id="flame"><h2>Flame graph</h2>
<div class="bar" id="flame-bar" hidden>
<fieldset class="segments" id="weight"><legend>Width</legend></fieldset>
<label><input type="checkbox" id="flip"> bottom-up: who allocates, then its callers</label>
<label><input type="checkbox" id="kernel"> kernel frames</label>
<label class="field">Find <input id="find" type="search" placeholder="part of a name" autocomplete="off" spellcheck="false"></label>
<button type="button" id="reset" disabled>Reset zoom</button>
</div>
<p class="hint" id="flame-hint" hidden>Click or Enter zooms, and the table above shows the blocks of that frame. Arrow keys move, Escape resets.</p>
<p id="flame-at" aria-live="polite"></p>
<div id="flame-graph" role="tree" aria-label="Flame graph" aria-describedby="flame-hint"></div>
<p class="legend" id="flame-legend"></p>
</section>
"#;

/// The sizes of the blocks, which the script draws.
pub(super) const SIZES: &str = r#"<section id="sizes" hidden><h2>Sizes</h2>
<p class="note" id="sizes-of"></p>
<table class="bars" id="size-bars"><thead><tr><th scope="col">Size of a block</th><th scope="col" class="n">Blocks</th><th scope="col" class="n">Bytes</th><th scope="col"><span class="off">Share</span></th></tr></thead><tbody></tbody></table>
</section>
"#;
