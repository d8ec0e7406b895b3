(function(){
var b=document.getElementById("copy"),id=document.getElementById("id"),said=document.getElementById("said"),t;
function say(ok){b.textContent=ok?"Copied":"Selected";said.textContent=ok?"Incident ID copied":"Incident ID selected: copy it with your keyboard";clearTimeout(t);t=setTimeout(function(){b.textContent="Copy";said.textContent=""},2500)}
function select(){var r=document.createRange(),s=getSelection();r.selectNodeContents(id);s.removeAllRanges();s.addRange(r);var ok=false;try{ok=document.execCommand("copy")}catch(e){}say(ok)}
b.hidden=false;
b.onclick=function(){if(navigator.clipboard)navigator.clipboard.writeText(id.textContent).then(function(){say(true)},select);else select()};
})();
