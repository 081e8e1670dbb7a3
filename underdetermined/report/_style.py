"""The style of the page: one column, light and dark, on a desk, on a phone and on paper."""

STYLE = """
:root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--text:#1b1f24;--faint:#59636e;--line:#d9dee4;--accent:#0a63a8;
--code:#f1f3f6;--best:rgba(0,158,115,.16);--warn:rgba(213,94,0,.12);--warnline:#d55e00}
@media (prefers-color-scheme:dark){:root{--page:#11151a;--card:#1a2027;--text:#e6eaee;--faint:#9aa6b2;--line:#303943;
--accent:#6cb6f0;--code:#12171c;--best:rgba(0,190,140,.22);--warn:rgba(213,94,0,.2)}}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0;background:var(--page);color:var(--text);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,"DejaVu Sans",sans-serif;
overflow-wrap:anywhere}
main,header,footer{max-width:73rem;margin:0 auto;padding:0 1.25rem}
header{padding-top:2.5rem}
.kicker{margin:0;color:var(--accent);font-size:.85rem;font-weight:600;letter-spacing:.06em;text-transform:uppercase}
h1{margin:.15rem 0 .6rem;font-size:clamp(1.6rem,4.5vw,2.3rem);line-height:1.18;font-weight:700}
.sentence{margin:0 0 1.4rem;font-size:1.14rem;max-width:54rem}
a{color:var(--accent)}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(11rem,1fr));gap:.75rem;margin:0 0 1.25rem}
.figures div{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.75rem .9rem}
.figures dt{color:var(--faint);font-size:.8rem}
.figures dd{margin:0}
.figures .value{font-size:1.5rem;line-height:1.25;font-weight:650;font-variant-numeric:tabular-nums}
.figures .detail{color:var(--faint);font-size:.82rem;line-height:1.35}
nav{display:flex;flex-wrap:wrap;gap:.35rem 1.1rem;padding:.55rem 0;border-top:1px solid var(--line);
border-bottom:1px solid var(--line);font-size:.93rem}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
section{background:var(--card);border:1px solid var(--line);border-radius:.8rem;padding:1.35rem 1.5rem 1.2rem;
margin:1.25rem 0}
h2{margin:0 0 .35rem;font-size:1.32rem;line-height:1.3}
h3{margin:1.3rem 0 .4rem;font-size:1rem}
.lead{margin:.1rem 0 1rem;max-width:60rem}
.faint{color:var(--faint);font-size:.92rem;max-width:52rem}
.scroll{overflow-x:auto;max-width:100%;margin:.6rem 0;-webkit-overflow-scrolling:touch}
.tall{max-height:22rem;overflow-y:auto}
table.plain{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums;min-width:min(100%,24rem)}
.plain caption{text-align:left;color:var(--faint);padding:.2rem .6rem .4rem 0}
.plain th,.plain td{text-align:right;padding:.3rem .75rem;border-bottom:1px solid var(--line);white-space:nowrap;
vertical-align:top}
.plain thead th{border-bottom:2px solid var(--line);font-weight:600;position:sticky;top:0;background:var(--card);
vertical-align:bottom}
.plain .left{text-align:left}
.plain .wrap{white-space:normal;min-width:13rem}
.plain tbody th{font-weight:500}
.plain tr.best{background:var(--best)}
.plain tr.best th{font-weight:700}
.bar{display:block;width:7rem;height:.55rem;margin-top:.5rem;border-radius:.3rem;background:var(--line);overflow:hidden}
.bar i{display:block;height:100%;background:var(--accent)}
figure{margin:.9rem 0}
.beside{display:flex;flex-wrap:wrap;gap:.2rem 2.5rem;align-items:flex-start}
.beside>*{min-width:0}
.paper{background:#fff;border:1px solid var(--line);border-radius:.6rem;padding:.6rem;overflow-x:auto}
.paper img{display:block;width:100%;height:auto;margin:0 auto}
.paper img{min-width:40rem}
.paper img.wide{min-width:54rem}
.paper img.small{min-width:33rem;max-width:48rem}
figcaption{color:var(--faint);font-size:.9rem;margin-top:.45rem;max-width:52rem}
.warn{border-left:.25rem solid var(--warnline);background:var(--warn);border-radius:.3rem;padding:.55rem .8rem;
margin:.7rem 0}
ul.notes{margin:.5rem 0;padding-left:1.2rem;max-width:52rem}
ul.notes li{margin:.2rem 0}
details{margin-top:.9rem}
summary{cursor:pointer;color:var(--accent);font-weight:500}
pre{margin:.6rem 0 0;padding:.8rem .95rem;background:var(--code);border:1px solid var(--line);border-radius:.5rem;
overflow-x:auto;font:.84rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;
overflow-wrap:normal}
footer{color:var(--faint);font-size:.88rem;padding-bottom:2.5rem}
.underdetermined-width p,.underdetermined-width summary{margin-left:0!important;margin-right:0!important}
@media (max-width:40rem){body{font-size:15.5px}header{padding-top:1.4rem}main,header,footer{padding-left:.8rem;
padding-right:.8rem}
section{padding:1rem .95rem .9rem;border-radius:.6rem}.sentence{font-size:1.05rem}
.figures{grid-template-columns:repeat(2,minmax(0,1fr));gap:.5rem}.figures .value{font-size:1.25rem}
.figures div{padding:.6rem .7rem}
.figures div:last-child:nth-child(odd){grid-column:1/-1}
.plain thead th{white-space:normal;overflow-wrap:normal}
.plain tbody th.left{white-space:normal;overflow-wrap:normal;min-width:6.5rem}.paper{padding:.35rem}}
@media print{:root{color-scheme:light;--page:#fff;--card:#fff;--text:#000;--faint:#444;--line:#ccc;--accent:#000;
--code:#fff;
--best:#e6f4ef;--warn:#fdeee4}
body{font-size:10.5pt}nav{display:none}section{border:0;padding:0;margin:1.2rem 0}
figure,tr,.figures div,.warn{break-inside:avoid}
h2,h3,.lead{break-after:avoid}.scroll,.tall,.paper{overflow:visible;max-height:none}.paper{border:0}
.paper img,.paper img.wide,.paper img.small{min-width:0}
.plain thead th{position:static}.plain th,.plain td{white-space:normal}
details::details-content{content-visibility:visible;height:auto;display:block}summary{list-style:none}
pre{white-space:pre-wrap}}
"""
