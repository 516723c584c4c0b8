package ir

// Changes tells how one list of resources becomes another: those of after that before does not hold as they are,
// and the IDs of those that after no longer holds, both in the order of the lists. It is false for lists that are
// not sorted by ID, each ID once; of those nothing is told. What both share in memory costs little more than
// looking where it is.
func Changes(before, after []*Resource) (put []*Resource, gone []string, ok bool) {
	i := 0
	step := false // the one before stood beside its like, so that the order is that of before
	for j := range after {
		r := after[j]
		if step && i < len(before) && (before[i] == r || before[i].ID == r.ID) {
			if !before[i].Same(r) {
				put = append(put, r)
			}
			i++
			continue
		}
		if j > 0 && after[j-1].ID >= r.ID {
			return nil, nil, false
		}
		for ; i < len(before) && before[i].ID < r.ID; i++ {
			gone = append(gone, before[i].ID)
		}
		if step = i < len(before) && before[i].ID == r.ID; !step {
			put = append(put, r)
			continue
		}
		if !before[i].Same(r) {
			put = append(put, r)
		}
		i++
	}
	for ; i < len(before); i++ {
		gone = append(gone, before[i].ID)
	}
	return put, gone, true
}
