package pattern
import ("testing";"fmt";"sort";"gatehouse/rules/program/byteset")
func TestZZStat(t *testing.T){
	all := crsPatterns(t)
	reqs := recorded(t, 10)
	set := setOf(all)
	type st struct{ runs, bytes, acc, always, match int }
	stats := make([]st, len(all))
	scratch := set.NewScratch()
	orc := make([]oracle,len(all))
	for i,p:=range all { orc[i]=oracleOf(t,p) }
	wants := map[string]Bits{}
	nval,nplain:=0,0
	for _, r := range reqs { for _, v := range r {
		key:=v.variable; if key=="REQUEST_HEADERS" { key+=v.key }
		if wants[key]==nil { wants[key]=newBits(len(all)); for i,p:=range all { if p.looksAt(v) { wants[key].Set(i) } } }
		mask:=byteset.Of(v.text)
		al:=alphabetOf(mask)
		nval++; if al==0 {nplain++}
		sst:=&set.stages[al]
		out:=newBits(len(all)); copy(out, sst.always)
		sst.automaton.scan(v.text,out,scratch.seen)
		out.and(wants[key])
		for i:=range out.All() {
			p:=all[i]
			if len(v.text)<p.minimum || !p.need.met(mask) { continue }
			s:=&stats[i]
			s.runs++; s.bytes+=len(v.text)
			if sst.always.Has(i) { s.always++ }
			if p.may(v.text,mask,al) { s.acc++
			 if orc[i](v.text) { s.match++ } }
		}
	}}
	idx:=make([]int,len(all)); for i:=range idx { idx[i]=i }
	sort.Slice(idx,func(a,b int)bool{return stats[idx[a]].bytes>stats[idx[b]].bytes})
	fmt.Println("requests",len(reqs),"values",nval,"plain",nplain)
	tot:=st{}
	for k,i:=range idx { s:=stats[i]; tot.runs+=s.runs; tot.bytes+=s.bytes; tot.acc+=s.acc; tot.match+=s.match
	 if k<45 || s.acc-s.match>50 { arg:=all[i].arg; if len(arg)>90 {arg=arg[:90]}
	 rows:=[]string{}
	 for _,sh:=range all[i].shapes { if sh.dfa!=nil { rows=append(rows,fmt.Sprint(len(sh.dfa.next)/sh.dfa.columns,"x",sh.dfa.columns,sh.dfa.exact," lits ",len(sh.literals))) } else {rows=append(rows,fmt.Sprint("no lits ",len(sh.literals)))} }
	 fmt.Println(all[i].id, all[i].level,all[i].name, "runs",s.runs,"bytes",s.bytes,"always",s.always,"acc",s.acc,"match",s.match,rows,arg) }
	}
	fmt.Printf("%+v\n",tot)
	// non exact
	for i,p:=range all { if p.kind==Regexp { d:=p.shapes[1].dfa; if d==nil || !d.exact { arg:=all[i].arg; if len(arg)>150 {arg=arg[:150]}; fmt.Println("inexact",p.id,p.level,d!=nil,arg)}}}
}
