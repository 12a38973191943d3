/* The page begins: what needs no network first, then the check, then all that shows computed values. */
showAnswer();
showPicture();
showPixels();
checkAll().then(checkLearnt).then((result) => {
  showWay();
  showWindow();
  showMaps();
  showPooling();
  showOutput();
  showWhatIf();
  showLearnt();
  showWhere();
  showCheck(result);
});
