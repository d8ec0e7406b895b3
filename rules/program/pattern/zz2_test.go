package pattern
import ("testing";"fmt";"strings";"gatehouse/rules/program/byteset")
func cls(s byteset.Set) string {
	if s==anyByte { return "." }
	neg:=s.Len()>128
	x:=s; if neg {x=s.Complement()}
	var b strings.Builder
	for c:=0;c<256;c++ { if x.Has(byte(c)) { d:=c; for d<255 && x.Has(byte(d+1)) {d++}
	  w:=func(c int){ if c>32&&c<127 { b.WriteByte(byte(c)) } else { fmt.Fprintf(&b,"\\x%02x",c) } }
	  w(c); if d>c+1 {b.WriteByte('-')}; if d>c {w(d)}; c=d } }
	if !neg && s.Len()==1 { return b.String() }
	if neg { return "[^"+b.String()+"]" }
	return "["+b.String()+"]"
}
func show(n *node) string {
	switch n.op {
	case opNone: return "<none>"
	case opEmpty: return "<e>"
	case opBytes: return cls(n.set)
	case opAssert: return []string{"^","$","\\A","\\z","\\b","\\B"}[n.assert]
	case opConcat: s:=""; for _,x:=range n.subs { s+=show(x)}; return s
	case opAlternate: var p []string; for _,x:=range n.subs { p=append(p,show(x))}; return "(?:"+strings.Join(p,"|")+")"
	}
	r:=fmt.Sprintf("{%d,%d}",n.min,n.max)
	if n.max== -1 && n.min==0 {r="*"}; if n.max== -1 && n.min==1 {r="+"}; if n.max==1&&n.min==0 {r="?"}
	s:=show(n.subs[0]); if n.subs[0].op==opConcat || n.subs[0].op==opRepeat { s="(?:"+s+")" }
	return s+r
}
func TestZZShow(t *testing.T){
	for _,p:=range readCRS(t) {
		switch p.id { case 932340,932350,932235,932230,932238,932236,930100,942200,933120,932237,942370:
		e,d:=Expression(p.arg); n,_:=parse(e,d)
		fmt.Println(p.id,"\n  FULL",show(n)[:min(6000,len(show(n)))])
		fmt.Println("  PLAIN",show(prune(n,alphabets[0])))
		}
	}
}
