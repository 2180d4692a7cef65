(function () {
  var arrows = Array.prototype.slice.call(document.querySelectorAll('.arrow'));
  var hint = document.querySelector('.hint');
  var open = null;
  function show(arrow) {
    arrows.forEach(function (other) {
      var chosen = other === arrow;
      other.classList.toggle('open', chosen);
      document.getElementById('m' + other.dataset.message).hidden = !chosen;
    });
    hint.hidden = !!arrow;
    open = arrow;
  }
  arrows.forEach(function (arrow, at) {
    arrow.addEventListener('click', function () { show(open === arrow ? null : arrow); });
    arrow.addEventListener('keydown', function (event) {
      var next = { ArrowDown: at + 1, ArrowUp: at - 1 }[event.key];
      if (event.key === 'Enter' || event.key === ' ') { show(arrow); event.preventDefault(); }
      if (next !== undefined && arrows[next]) { arrows[next].focus(); show(arrows[next]); event.preventDefault(); }
    });
  });
})();
