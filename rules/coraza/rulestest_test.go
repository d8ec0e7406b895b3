package coraza_test

import (
	"testing"

	"gatehouse/rules/coraza"
	"gatehouse/rules/rulestest"
	"gatehouse/rules/rulestest/rulestesting"
)

func TestRuleFiles(t *testing.T) {
	rulestesting.Run(t, coraza.New(coraza.Options{}), "../rulestest/testdata/engine", rulestesting.Options{Runner: rulestest.ReferenceEngine})
}
