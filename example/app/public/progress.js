// Says that the tests run: until they are done, the browser keeps showing the page with the button.
const form = document.querySelector('#try');
const button = form.querySelector('button');
const status = form.querySelector('[role="status"]');

form.addEventListener('submit', () => {
  button.disabled = true;
  status.textContent = status.dataset.text;
});

// the back button may show the page as it was left
addEventListener('pageshow', () => {
  button.disabled = false;
  status.textContent = '';
});
