"""How the page looks: light and dark, narrow and printed. The two models are blue and orange wherever they stand."""

STYLE = """
:root{color-scheme:light dark;
  --ink:#1d2430;--dim:#5b6575;--paper:#fff;--line:#d8dde5;--soft:#f4f6f9;
  --m0:#3569b8;--m1:#c46a1b;--good:#1f7a4d;
  --bad:#b3362b}
@media(prefers-color-scheme:dark){:root{
  --ink:#e4e8ee;--dim:#9aa5b5;--paper:#14181e;--line:#333b47;--soft:#1c222b;
  --m0:#7aa7ea;--m1:#eba25c;--good:#6cc79a;
  --bad:#f0857b}
}
*{box-sizing:border-box}
body{margin:0 auto;max-width:62rem;padding:1.5rem 1.25rem 4rem;font:16px/1.5 system-ui,sans-serif;color:var(--ink);
  background:var(--paper)}
h1{font-size:1.7rem;line-height:1.2;margin:.2rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:2.6rem 0 .6rem;border-top:1px solid var(--line);padding-top:1rem}
h3{font-size:1rem;margin:1.6rem 0 .4rem;overflow-wrap:anywhere}
p{max-width:46rem}
nav a{display:inline-block;margin-right:.9rem}
a{color:var(--m0)}
.sum{background:var(--soft);border-left:4px solid var(--m0);padding:.7rem 1rem}
.dim{color:var(--dim)}
.wide{overflow-x:auto}
table{border-collapse:collapse;margin:.6rem 0;font-size:.93rem}
caption{text-align:left;color:var(--dim);padding:.2rem 0}
th,td{text-align:left;vertical-align:top;padding:.28rem .9rem .28rem 0;border-bottom:1px solid var(--line)}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.k0{color:var(--m0);font-weight:600}
.k1{color:var(--m1);font-weight:600}
th[scope=row]{white-space:nowrap}
.up{color:var(--good)}
.down{color:var(--bad)}
ol.said{list-style:none;padding:0}
ol.said li{border-bottom:1px solid var(--line);padding:.6rem 0}
ol.said div{display:flex;gap:.7rem}
ol.said span.who{flex:0 0 10.5rem;color:var(--dim);font-size:.85rem;padding-top:.1rem}
svg{max-width:100%;height:auto;display:block;margin:.4rem 0}
svg.own{max-width:none}
svg text{font:12px system-ui,sans-serif;fill:var(--ink)}
svg .mid{dominant-baseline:central}
svg .m0,svg .heat{fill:var(--m0)}
svg .m1{fill:var(--m1)}
svg .axis{stroke:var(--line)}
svg polyline{fill:none;stroke-width:1.8}
svg .loss{stroke:var(--dim)}
svg .bleu{stroke:var(--m0)}
svg .chrf{stroke:var(--m1)}
@media(max-width:34rem){ol.said div,ol.said span.who{display:block}
body{padding:1rem .8rem 3rem}
svg.scaled text{font-size:16px}
}
@media print{body{max-width:none}
h2{break-after:avoid}
li,tr,svg{break-inside:avoid}
nav{display:none}
}
"""
