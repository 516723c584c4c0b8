package haproxy

import (
	"fmt"
	"slices"
	"strings"

	"weir"
	"weir/internal/ir"
	"weir/internal/logic"
)

// The maps of logic.
const (
	mapLogic      = "maps/logic.map"       // site → the block of rules that is for it
	mapPoolLogic  = "maps/pool-logic.map"  // backend → the block in its profile
	mapLogicLists = "maps/logic-lists.map" // set of access lists → those of them that logic asks for: ,a,b,
)

// LogicOfSites and LogicOfPools are the maps that say whose which block of rules is, by which the rules' names begin: "l."
// and the block.
const (
	LogicOfSites = mapLogic
	LogicOfPools = mapPoolLogic
)

// mapOfLogic is the map that a Map becomes where logic looks it up; no name holds a dot.
func mapOfLogic(m *ir.Map) string {
	if m.Match == "regex" {
		return regexesOfLogic + m.Name + ".map"
	}
	return ofLogic + m.Name + ".map"
}

const (
	ofLogic        = "maps/logic."
	regexesOfLogic = ofLogic + "re."
)

// orderedMap says of a map that it is searched from the top.
func orderedMap(path string) bool {
	return slices.Contains(orderedMapFiles, path) || strings.HasPrefix(path, regexesOfLogic)
}

// logicBlock is what several Logics say one after the other. Sites or pools for which they say the same share it.
type logicBlock struct {
	// id is a digest of the rules.
	id    string
	parts []logicPart
}

type logicPart struct {
	name    string
	program *weir.LogicProgram
}

func (p logicPart) owner() string { return "Logic/" + p.name }

// logics are the blocks of a node.
type logics struct {
	blocks map[string]*logicBlock
	// sites and pools give the block of each that has one.
	sites, pools map[string]string
}

// bindLogics reads the logic of all sites and pools. What can't be read is left out: nothing stands in the configuration that
// was not read here, whoever sent it.
func (r *renderer) bindLogics() {
	r.logic = logics{map[string]*logicBlock{}, map[string]string{}, map[string]string{}}
	if len(r.node.Logics) == 0 {
		return
	}
	for i := range r.node.Sites {
		s := &r.node.Sites[i]
		r.bindLogic(r.logic.sites, s.Name, s.Logic, weir.LogicContext{Site: s.Name, Zone: r.node.Self.Zone})
	}
	for i := range r.node.Pools {
		p := &r.node.Pools[i]
		r.bindLogic(r.logic.pools, p.Name, p.Logic, weir.LogicContext{Pool: p.Name, Zone: r.node.Self.Zone})
	}
}

func (r *renderer) bindLogic(into map[string]string, name string, uses []weir.LogicUse, context weir.LogicContext) {
	b := &logicBlock{}
	for _, use := range uses {
		i := slices.IndexFunc(r.node.Logics, func(l ir.Logic) bool { return l.Name == use.Name })
		if i < 0 {
			continue
		}
		if program, problems := r.node.Logics[i].Bind(use.With, context); len(problems) == 0 {
			b.parts = append(b.parts, logicPart{use.Name, program})
		}
	}
	if len(b.parts) == 0 {
		return
	}
	var text strings.Builder
	for i, part := range b.parts {
		text.WriteString(part.name)
		for _, l := range part.program.Print(r.logicContext(b, i)) {
			text.WriteString("\n" + l.Text)
		}
	}
	b.id = longDigest(text.String())
	r.logic.blocks[b.id] = b
	into[name] = b.id
}

// logicContext is where the i-th part of a block is printed for.
func (r *renderer) logicContext(b *logicBlock, i int) logic.Context {
	return logic.Context{
		ACLs: fmt.Sprintf("l.%s.%d", b.id, i), Variables: "l." + longDigest(b.parts[i].name),
		Route: func(backend string) string { return "var(txn.site),concat(/" + backend + ")" },
		Regex: boundedBy,
		List: func(names []string) string {
			return fmt.Sprintf("src,map_ip(%s),map_str(%s) -m sub -- ,%s,", opt(mapLists), opt(mapLogicLists), strings.Join(names, ", ,"))
		},
		Map: func(name string, otherwise *string) string {
			m, rest := r.mapOf(name), ")"
			if otherwise != nil {
				rest = "," + logic.Argument(*otherwise) + ")"
			}
			switch m.Match {
			case "prefix":
				return "concat(/),map_beg(" + opt(mapOfLogic(m)) + rest
			case "regex":
				return "map_reg(" + opt(mapOfLogic(m)) + rest
			}
			return "map_str(" + opt(mapOfLogic(m)) + rest
		},
	}
}

// mapOf gives a Map of the node, or one that is empty.
func (r *renderer) mapOf(name string) *ir.Map {
	for i := range r.node.Maps {
		if r.node.Maps[i].Name == name {
			return &r.node.Maps[i]
		}
	}
	return &ir.Map{Name: name, Match: "exact"}
}

// siteLogic asks the logic of sites, where the route is known and the zone is not yet. Sites that have any go the long way;
// the others of that pay a false condition a rule. It stands at each port, so that a site's ports change at run time.
func (r *renderer) siteLogic(s *Section) {
	here := map[string]bool{}
	for _, id := range r.logic.sites {
		here[id] = true
	}
	if len(here) == 0 {
		return
	}
	s.add("# logic of sites")
	s.add("http-request set-var(txn.logic) var(txn.site),map_str(%s)", opt(mapLogic))
	for _, id := range sortedKeys(here) {
		b := r.logic.blocks[id]
		guard := "l." + id
		s.own(b.parts[0].owner(), "acl %s var(txn.logic) -m str %s", guard, id)
		r.logicRules(s, b, guard, guard)
	}
}

// poolLogic asks the logic of a pool, in its profile. A request that went on to another zone was asked by the first pool
// already, if that had the same; answers are asked where they come from.
func (r *renderer) poolLogic(s *Section, id string) {
	b := r.logic.blocks[id]
	if b == nil {
		return
	}
	guard := "l." + id
	s.own(b.parts[0].owner(), "acl %s var(txn.from),map_str(%s) -m str %s", guard, opt(mapPoolLogic), id)
	s.own(b.parts[0].owner(), "acl %s.again srv_name -m beg %s", guard, againName)
	r.logicRules(s, b, "!"+guard, "!"+guard+".again")
}

func (r *renderer) logicRules(s *Section, b *logicBlock, guard, answers string) {
	for i, part := range b.parts {
		c := r.logicContext(b, i)
		c.Guard, c.Answers = guard, answers
		for _, l := range part.program.Print(c) {
			s.own(part.owner(), "%s", l.Text)
		}
	}
}

// logicMaps says whose which block is, and fills what logic looks up.
func (r *renderer) logicMaps(sets *listSets) {
	for site, id := range r.logic.sites {
		r.put(mapLogic, site, id, "Site/"+site)
	}
	asked := map[string]map[string]bool{} // set of lists → lists
	for _, id := range sortedKeys(r.logic.blocks) {
		for _, part := range r.logic.blocks[id].parts {
			for _, list := range part.program.Lists() {
				for _, set := range sets.networks[list] {
					if asked[set] == nil {
						asked[set] = map[string]bool{}
					}
					asked[set][list] = true
				}
			}
			for _, name := range part.program.Maps() {
				r.logicMap(r.mapOf(name))
			}
		}
	}
	r.maps[mapLogicLists] = orEmpty(r.maps[mapLogicLists])
	r.maps[mapPoolLogic] = orEmpty(r.maps[mapPoolLogic])
	for set, lists := range asked {
		r.put(mapLogicLists, set, ","+strings.Join(sortedKeys(lists), ",")+",", "AccessList/"+sortedKeys(lists)[0])
	}
}

func (r *renderer) logicMap(m *ir.Map) {
	path, owner := mapOfLogic(m), "Map/"+m.Name
	if m.Match == "regex" {
		if _, done := r.ordered[path]; done {
			return
		}
		r.ordered[path] = []Entry{}
		for _, e := range m.Entries {
			r.push(path, bounded("^(?:"+e.Key+")$"), e.Value, owner)
		}
		return
	}
	r.whole[path] = r.keyed(m, nil)
}
