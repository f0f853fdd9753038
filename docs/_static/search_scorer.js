/* Pages that answer a question come before the evidence and the reference. */
var Scorer = {
  score: ([page, , , , score]) =>
    score + (page.startsWith("howto/") ? 3 : page.startsWith("guide/") ? 2 : 0),

  // The other values are those of Sphinx.
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
