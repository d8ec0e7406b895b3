package operator

import "fmt"

// Phrases are the words that the operator of that name looks for, as it compares them: one of them occurs in every
// value that the operator matches, ASCII letters in either case. It is an error if the operator looks for no words.
func Phrases(name, argument string, data Data) ([]string, error) {
	switch name {
	case "pm":
		return splitWords(argument), nil
	case "pmFromFile", "pmf":
		lines, err := data.lines(argument)
		return lowerAll(lines), err
	case "pmFromDataset":
		lines, ok := data.dataset(argument)
		if !ok {
			return nil, fmt.Errorf("dataset %q does not exist", argument)
		}
		return lines, nil
	}
	return nil, fmt.Errorf("@%s looks for no words", name)
}
